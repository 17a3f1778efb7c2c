"""The clock that a test case moves: virtual, faked for a program, or real."""
