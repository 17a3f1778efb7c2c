"""The clock that a scenario moves: virtual, faked for a program, or real."""
