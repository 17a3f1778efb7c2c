"""Scenarios that provoke the contract's clauses: ``pytest --pyargs mockbroker_contract``."""
