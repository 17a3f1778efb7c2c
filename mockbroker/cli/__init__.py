"""The command ``mockbroker``."""
