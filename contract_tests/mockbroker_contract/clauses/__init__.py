"""One test per clause, one module per chapter."""
