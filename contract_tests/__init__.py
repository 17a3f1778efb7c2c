"""Scenarios that provoke the contract's clauses: ``pytest --pyargs contract_tests``."""
