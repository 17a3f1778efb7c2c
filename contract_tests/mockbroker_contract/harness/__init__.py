"""The contract run: client sessions, scenarios, exploration, shrinking, and replay."""
