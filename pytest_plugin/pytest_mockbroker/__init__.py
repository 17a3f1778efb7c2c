"""The pytest plugin: the ``auth_broker`` fixture, the contract run's options, and its report."""
