"""Scenarios that provoke the clauses of the contract; run with ``pytest --pyargs contract_tests``."""
