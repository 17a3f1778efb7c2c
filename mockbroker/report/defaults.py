"""The defaults of a run that options, reports and the kit share.

pytest imports this module at every start, so it imports nothing.
"""

from __future__ import annotations

__all__ = ["DEFAULT_EXAMPLES"]

DEFAULT_EXAMPLES = 10
"""How many test cases are drawn for a clause unless the user asks for another number."""
