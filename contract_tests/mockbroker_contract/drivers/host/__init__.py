"""The process in which a Python client lives: it makes the client, uses it, and reports.

`launcher` starts hosts and ends them with all that they have begun; `session` is the host's
conversation with the judging process. Nothing here is imported by the judging process but the
launcher, and nothing here imports pytest, Hypothesis or Flask.
"""
