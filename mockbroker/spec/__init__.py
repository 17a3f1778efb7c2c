"""The specification: clauses, messages and judges as pure values and functions."""
