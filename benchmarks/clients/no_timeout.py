"""The model client without a timeout: it waits for a broker that never answers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from examples.model_client import ApiClient, TokenManager

__all__ = ["make_client"]


def make_client(config: Any) -> ApiClient:
    """Return the client that `mockbroker check` judges."""
    verify = config.ca_file or True
    tokens = TokenManager(
        config.token_url,
        config.client_id,
        config.client_secret,
        scope=config.scope,
        parameters=config.parameters,
        timeout=None,  # type: ignore[arg-type] # the defect
        verify=verify,
    )
    return ApiClient(tokens, config.api_base_url, timeout=None, verify=verify)  # type: ignore[arg-type]
