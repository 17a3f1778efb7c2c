"""Verdicts, findings and reports as values, and the formats that they are written in.

Findings and reports are typed values. Text is made at the end, by the writers of the formats, and
never read back.
"""
