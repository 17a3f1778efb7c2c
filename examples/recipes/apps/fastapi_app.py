"""A FastAPI app that shows what the fleet API knows of a vehicle."""

from __future__ import annotations

import fleet
from fastapi import FastAPI, HTTPException

app = FastAPI()


@app.get("/vehicles/{vehicle_id}")
def vehicle(vehicle_id: str) -> dict[str, str]:
    """Return the title of a vehicle."""
    try:
        return {"title": fleet.title_of(vehicle_id)}
    except fleet.TokenError as error:
        raise HTTPException(503, "the fleet API is unavailable") from error
