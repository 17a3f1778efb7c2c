"""A Django project in one file that shows what the fleet API knows of a vehicle."""

from __future__ import annotations

import django
import fleet
from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.urls import path

if not settings.configured:
    settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["testserver"])
    django.setup()


def vehicle(_: HttpRequest, vehicle_id: str) -> JsonResponse:
    """Return the title of a vehicle."""
    try:
        return JsonResponse({"title": fleet.title_of(vehicle_id)})
    except fleet.TokenError:
        return JsonResponse({"error": "the fleet API is unavailable"}, status=503)


urlpatterns = [path("vehicles/<vehicle_id>", vehicle)]
