"""The process in which a Python client runs: it makes the client, uses it, and reports.

`launcher` starts hosts and ends all of their processes. `session` is the host's conversation with
the judging process. The judging process imports only the launcher from here, and no module here
imports pytest, Hypothesis or Flask.
"""
