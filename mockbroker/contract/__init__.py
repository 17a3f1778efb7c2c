"""The contract: its clauses, what judges them, and hints for requests that break one. Pure."""
