"""Pure values: HTTP messages, credentials, tokens, exchanges, profiles."""
