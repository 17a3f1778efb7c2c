"""The contract: its clauses, what judges them, and hints for requests that break one. Pure.

It knows neither sockets nor pytest: the same judges serve the broker, assertions, audits and
checks.

It rejects nothing and prints nothing: the broker and the reports do that with its results.
"""
