"""One test per clause, one module per chapter.

A test has one clause, which its marker names by the clause's object. It passes only if a test case
met the precondition of the clause; see `harness.scenario`.
"""
