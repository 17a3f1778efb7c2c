"""Wrong requests get the hint that names their cause, from explain and from a broker alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from mockbroker import Broker, Credentials
from mockbroker.cli.explain import explain, read_pasted
from mockbroker.model.messages import Request
from mockbroker.model.profile import AUTOGRAB
from tests.broker.wires import connect, read_answer
from tests.broker.wrong_requests import IN_COMMANDS, SOUND, WRONG, Wrong


def client_of(wrong: Wrong) -> Credentials:
    return Credentials(*wrong.client.split(":", 1))


@pytest.fixture(scope="module")
def brokers() -> Iterator[Callable[[Credentials], Broker]]:
    """A running broker for each client."""
    running: dict[Credentials, Broker] = {}
    with ExitStack() as stack:

        def broker_of(credentials: Credentials) -> Broker:
            if credentials not in running:
                broker = Broker(credentials=credentials)
                running[credentials] = stack.enter_context(broker.running())
            return running[credentials]

        yield broker_of


def on_the_wire(request: Request) -> bytes:
    """The request as a client sends it."""
    framing = {"host", "content-length", "transfer-encoding"}
    fields = [(name, value) for name, value in request.headers if name.lower() not in framing]
    host = request.headers.get("Host") or "broker"
    lines = [f"{request.method} {request.target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in fields]
    lines += [f"Content-Length: {len(request.body)}"]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + request.body


@pytest.mark.parametrize("wrong", [*WRONG, *IN_COMMANDS], ids=lambda wrong: wrong.name)
def test_explain_names_the_cause(wrong):
    found = explain(wrong.text.encode(), AUTOGRAB, (client_of(wrong),))
    said = "\n".join([*found.hints, *(mistake.text for mistake in found.mistakes)])
    assert [words for words in wrong.words if words not in said] == [], said
    assert not found.is_right


@pytest.mark.parametrize("wrong", [*WRONG, *IN_COMMANDS], ids=lambda wrong: wrong.name)
def test_explain_prints_no_secret(wrong):
    said = "\n".join(explain(wrong.text.encode(), AUTOGRAB, (client_of(wrong),)).lines())
    assert len(wrong.client) < 10 or wrong.client.split(":", 1)[1] not in said


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.name)
def test_a_broker_names_the_cause_of_the_same_request(wrong, brokers):
    broker = brokers(client_of(wrong))
    with connect(broker) as sock:
        sock.sendall(on_the_wire(read_pasted(wrong.text.encode()).request))
        read_answer(sock)
    exchange = broker.journal[-1]
    said = "\n".join(hint for breach in exchange.breaches for hint in breach.hints)
    assert [words for words in wrong.words if words not in said] == [], said


@pytest.mark.parametrize("name", SOUND)
@pytest.mark.parametrize("client", [(), (Credentials("shop", "s3cret"),)], ids=["", "client"])
def test_a_sound_request_gets_no_hint(name, client):
    found = explain(SOUND[name].encode(), AUTOGRAB, client)
    assert (found.breaches, found.hints, found.mistakes) == ((), (), ())
    assert found.decoded[0].client_id == "shop"


# Only a known client shows that these are wrong.
_NEED_A_CLIENT = ("damaged: ", "decoded: another", "decoded: secret in", "decoded: id in")
_NEED_IT_TOO = {
    f"decoded: {name}"
    for name in (
        "swapped",
        "id twice",
        "secret twice",
        "id for the secret",
        "names with the values",
        "trailing comma",
        "e-mail address",
        "misspelt id",
        "encoded alone",
    )
} | {
    "host after the secret",
    "word before the id",
    "UTF-8 twice",
    "id beyond ASCII",
    "id in mixed case",
    "decomposed",
}


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.name)
def test_mistakes_of_form_are_found_without_a_known_client(wrong):
    needs_client = wrong.name in _NEED_IT_TOO or wrong.name.startswith(_NEED_A_CLIENT)
    assert explain(wrong.text.encode(), AUTOGRAB).is_right == needs_client
