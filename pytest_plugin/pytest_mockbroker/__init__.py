"""The pytest plugin: the ``auth_broker`` fixture, the contract run's options, and its report.

Only `plugin` is imported at every start of pytest, through an entry point. The other modules are
imported by it at first use, or by the command line.
"""
