"""Reading what the host answered about a client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mockbroker.report.steps import Place
from mockbroker_contract.drivers.driver import GET_TOKEN, Answer, Raised, Returned

__all__ = ["answer_in", "read_use", "status_in", "token_in"]


def answer_in(reply: Mapping[str, Any]) -> Answer:
    """Return the answer in a reply of the host, or the error that the client raised."""
    changed = tuple(reply.get("changed", ()))
    if "err" not in reply:
        return Answer(value=reply["ok"], changed=changed)
    # JSON has no tuples, which `Raised` declares.
    error = {**reply["err"], **{name: tuple(reply["err"][name]) for name in ("bases", "texts")}}
    place = error.pop("place")
    return Answer(error=Raised(**error, place=place and Place(**place)), changed=changed)


def read_use(operation: str, answer: Answer) -> Answer:
    """Return the answer to a use: the token, or the status of the call."""
    return token_in(answer) if operation == GET_TOKEN else status_in(answer)


def token_in(answer: Answer) -> Answer:
    """Return the answer to a use that gets a token; its value is the token."""
    if answer.value is None:
        return answer
    described = str(answer.value.get("described", ""))
    return Answer(value=answer.value["access_token"], described=described)


def status_in(answer: Answer) -> Answer:
    """Return the answer to a signed call; its value describes what the client returned."""
    return answer if answer.value is None else replace(answer, value=Returned(**answer.value))
