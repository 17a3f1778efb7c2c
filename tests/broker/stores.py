"""The stores of a broker's state that tests are run over."""

from __future__ import annotations

MEMORY, REDIS = "memory", "redis"
BOTH = (MEMORY, REDIS)
