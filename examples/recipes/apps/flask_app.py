"""A Flask app that shows what the fleet API knows of a vehicle."""

from __future__ import annotations

import flask
import fleet

app = flask.Flask(__name__)


@app.get("/vehicles/<vehicle_id>")
def vehicle(vehicle_id: str) -> dict[str, str]:
    """Return the title of a vehicle."""
    return {"title": fleet.title_of(vehicle_id)}


@app.errorhandler(fleet.TokenError)
def unavailable(_: fleet.TokenError) -> tuple[dict[str, str], int]:
    """Answer while the fleet API cannot be used."""
    return {"error": "the fleet API is unavailable"}, 503
