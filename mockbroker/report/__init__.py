"""Verdicts, findings and reports as values, and the formats that they are written in."""
