"""A Celery task that stores what the fleet API knows of a vehicle, and is retried in an outage."""

from __future__ import annotations

import celery
import fleet

app = celery.Celery("fleet", broker="memory://")

titles: dict[str, str] = {}
"""The store of the app."""


@app.task(autoretry_for=(fleet.TokenError,), max_retries=3, retry_backoff=True)
def store_title(vehicle_id: str) -> None:
    """Store the title of a vehicle."""
    titles[vehicle_id] = fleet.title_of(vehicle_id)
