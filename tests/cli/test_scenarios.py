"""`--scenario FILE.toml` of `mockbroker serve` and `audit`: planned events."""

from __future__ import annotations

import json
import sys
import threading

import pytest
import requests
from click.testing import CliRunner

from mockbroker import Broker, Credentials
from mockbroker.broker.observation import Observation
from mockbroker.broker.profiles import ConfigError
from mockbroker.broker.scenario import load_scenario
from mockbroker.cli import scenario_run
from mockbroker.cli.commands import cli
from mockbroker.cli.scenario_run import running_scenario
from mockbroker.model.messages import Headers, Request
from tests.broker.programs import run, serving, token_url

GRANT = {"grant_type": "client_credentials"}
SHOP = ("shop", "s3cr:et")
ORIGIN = "http://broker"
BODY = b"grant_type=client_credentials"
FORM = ("Content-Type", "application/x-www-form-urlencoded")
APP = """
import os, requests
pair = os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"]
grant = {"grant_type": "client_credentials"}
vehicle = os.environ["API_URL"] + "/vehicle/1"
for status in (200, 401):
    token = requests.post(os.environ["TOKEN_URL"], grant, auth=pair).json()["access_token"]
    answer = requests.get(vehicle, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == status
"""


class Time:
    """A clock that only moves when a test moves it."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def scenario_file(tmp_path):
    def write(text: str):
        path = tmp_path / "night.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def following(scenario_file):
    """A broker of the client shop that follows a scenario, without the thread of its time."""

    def follow(text: str, **settings) -> tuple[Broker, scenario_run.ScenarioRun, list[str]]:
        broker = Broker(credentials=Credentials(*SHOP), clock=Time(), **settings)
        broker.mounted_at(ORIGIN, "")
        events: list[str] = []
        scenario = load_scenario(scenario_file(text), ["shop"])
        followed = scenario_run.ScenarioRun(
            broker, scenario, lambda event, _now: events.append(type(event).__name__)
        )
        return broker, followed, events

    return follow


def get_token(broker: Broker, secret: str = SHOP[1]) -> int:
    """The status of a token request."""
    request = requests.Request("POST", broker.token_url, auth=("shop", secret)).prepare()
    fields = Headers((FORM, ("Authorization", request.headers["Authorization"])))
    path = broker.token_url.removeprefix(ORIGIN)
    return broker.handle(Request("POST", path, fields, BODY), ORIGIN).response.status


def call(broker: Broker) -> int:
    """The status of an API call with the newest token."""
    fields = Headers((("Authorization", f"Bearer {broker.tokens[-1].value}"),))
    return broker.handle(Request("GET", "/v2/vehicle/1", fields, b""), ORIGIN).response.status


def event(action: str, when: str = "after_token_requests = 1", *lines: str) -> str:
    return "\n".join(["[[events]]", when, f'action = "{action}"', *lines, ""])


def test_an_outage_ends_after_its_requests(following):
    broker, followed, events = following(
        event("outage", "after_token_requests = 1", "requests = 2", "retry_after = 7")
    )
    assert [get_token(broker) for _ in range(4)] == [200, 503, 503, 200]
    assert events == ["Outage"]
    assert broker.journal[1].response.headers.get("Retry-After") == "7"
    assert [(each.happened, each.requests) for each in followed.occurrences] == [(True, 2)]
    # The API is not concerned.
    assert call(broker) == 200


def test_an_outage_of_the_api_ends_after_its_seconds(following):
    broker, _, _ = following(
        event("outage", "after_seconds = 60", 'endpoint = "api"', "seconds = 30", "status = 500")
    )
    get_token(broker)
    statuses = []
    for seconds in (59, 2, 28, 2):
        broker.clock.advance(seconds)
        statuses.append(call(broker))
    assert statuses == [200, 500, 500, 200]
    assert get_token(broker) == 200


@pytest.mark.parametrize("action", ["revoke-tokens", "expire-tokens"])
def test_tokens_end_after_a_number_of_calls(following, action):
    broker, _, _ = following(event(action, "after_api_calls = 2"))
    get_token(broker)
    # A request to another path counts for neither endpoint.
    assert broker.handle(Request("GET", "/", Headers(()), b""), ORIGIN).response.status == 404
    assert [call(broker) for _ in range(3)] == [200, 200, 401]
    assert broker.journal[-1].token_state.value == action.partition("-")[0] + "d"
    get_token(broker)
    assert call(broker) == 200


def test_a_token_that_was_forgotten_meanwhile_cannot_expire(following, monkeypatch):
    broker, _, events = following(event("expire-tokens", "after_api_calls = 0"))

    def forgotten(value: str) -> None:
        raise KeyError(value)

    get_token(broker)
    monkeypatch.setattr(broker, "expire_token", forgotten)
    assert call(broker) == 200
    assert events == ["ExpireTokens"]


@pytest.mark.parametrize(("client", "is_first"), [("shop", True), ("other", False)])
def test_a_client_gets_another_secret(following, client, is_first):
    broker, _, _ = following(
        event("rotate-secret", "after_token_requests = 1", 'client = "shop"', 'secret = "n3w"')
    )
    if not is_first:
        broker.credentials = broker.register("other", "x")
    assert [get_token(broker), get_token(broker), get_token(broker, "n3w")] == [200, 401, 200]
    assert broker.auth == (("shop", "n3w") if is_first else ("other", "x"))


def test_lifetimes_and_the_clock_change_and_bring_later_events_forward(following):
    broker, _, events = following(
        event("lifetime", "after_seconds = 100", "expires_in = 5")
        + event("advance-clock", "after_token_requests = 1", "seconds = 100")
    )
    get_token(broker)
    assert broker.tokens[-1].expires_in == 3599
    get_token(broker)
    assert events == ["AdvanceClock", "Lifetime"]
    assert broker.tokens[-1].expires_in == 5
    assert broker.clock.now() == 1100


def test_the_same_share_of_requests_fails_in_each_run(following):
    text = event("errors", "after_seconds = 0", "percent = 20")
    runs = []
    for seed in ("", "", "seed = 7\n"):
        broker, followed, _ = following(seed + text)
        runs.append([get_token(broker) for _ in range(200)])
        assert followed.occurrences[0].requests == runs[-1].count(503)
    assert runs[0] == runs[1] != runs[2]
    assert 20 < runs[0].count(503) < 60


def test_a_share_of_errors_can_end_and_the_event_that_began_last_counts(following):
    broker, _, _ = following(
        event("errors", "after_seconds = 0", "percent = 100", "seconds = 10")
        + event("outage", "after_token_requests = 1", "requests = 1", "status = 500")
    )
    statuses = [get_token(broker) for _ in range(3)]
    broker.clock.advance(10)
    assert [*statuses, get_token(broker)] == [503, 500, 503, 200]


def test_a_scenario_outlives_a_reset_and_its_time_does_not_go_back(scenario_file):
    broker = Broker(credentials=Credentials(*SHOP))
    broker.mounted_at(ORIGIN, "")
    scenario = load_scenario(
        scenario_file(event("lifetime", "after_seconds = 3600", "expires_in = 5")), []
    )
    followed = scenario_run.ScenarioRun(broker, scenario, lambda _event, _now: None)
    broker.clock.advance(3000)
    get_token(broker)
    broker.reset()
    assert followed.catch_up()
    broker.clock.advance(500)
    assert followed.catch_up()
    broker.clock.advance(500)
    assert not followed.catch_up()
    assert followed.occurrences[0].happened


def test_only_events_by_seconds_happen_without_a_request(following):
    _, followed, events = following(
        event("revoke-tokens", "after_token_requests = 0")
        + event("revoke-tokens", "after_seconds = 0")
    )
    assert not followed.catch_up()
    assert [each.happened for each in followed.occurrences] == [False, True]
    assert events == ["RevokeTokens"]


def test_the_seconds_are_watched_while_no_request_comes(scenario_file, monkeypatch, capsys):
    clock, looked = Time(), threading.Event()

    def now() -> float:
        clock.seconds += 1
        if clock.seconds > 1010:
            looked.set()
        return clock.seconds

    monkeypatch.setattr(scenario_run, "POLL_SECONDS", 0.0001)
    monkeypatch.setattr(clock, "now", now)
    broker = Broker(clock=clock)
    far = event("revoke-tokens", "after_seconds = 1e9")
    scenario = load_scenario(
        scenario_file(event("revoke-tokens", "after_seconds = 5") + far), ["shop"]
    )
    with running_scenario(scenario, broker):
        assert looked.wait(30)
    assert "scenario: after 5 s: all tokens are revoked" in capsys.readouterr().out


WORDS = [
    (event("outage", "after_seconds = 0", "requests = 1"), "answers 503 to the next request"),
    (event("outage", "after_seconds = 0", "requests = 1"), "at the start: the token endpoint"),
    (event("outage", "after_api_calls = 1", 'endpoint = "api"', "seconds = 1.5"),
     "after 1 API call: the API answers 503 for 1.5 s"),
    (event("errors", "after_seconds = 2", "percent = 1", "status = 500"),
     "after 2 s: 1 % of the requests to the token endpoint get 500"),
    (event("errors", "after_seconds = 2", "percent = 1", "seconds = 9"), "get 503 for 9 s"),
    (event("rotate-secret", "after_token_requests = 2", 'secret = "n3w"'),
     "after 2 token requests: the first client gets another secret"),
    (event("rotate-secret", "after_seconds = 2", 'secret = "n3w"', 'client = "shop"'),
     "client shop gets another secret"),
    (event("expire-tokens"), "all tokens expire"),
    (event("lifetime", "after_seconds = 1", "expires_in = 5"), "have a lifetime of 5 s"),
    (event("advance-clock", "after_seconds = 1", "seconds = 5"), "moves forward by 5 s"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "words"), WORDS)
def test_each_event_has_its_words(scenario_file, text, words):
    [planned] = load_scenario(scenario_file(text), ["shop"]).events
    said = scenario_run.event_line(0, planned)
    assert words in said
    assert "n3w" not in said


MISTAKES = [
    ("[[events", "is not a valid TOML file"),
    ("", "events is missing"),
    ("events = []", "events: expected one [[events]] or more, got an empty list"),
    ("events = [3]", "events[0]: expected a table, got 3"),
    ("[events]\naction = 'outage'", "got a table; write [[events]], not [events]"),
    ("[[event]]\naction = 'outage'", "unknown key 'event'; did you mean 'events'?"),
    ("seed = 'a'\n" + event("revoke-tokens"), "seed: expected an integer, got 'a'"),
    (event("outge"), "events[0]: unknown action 'outge'; did you mean 'outage'?"),
    ("[[events]]\nafter_seconds = 1\naction = ['outage']", "events[0]: unknown action a list"),
    ("[[events]]\nafter_seconds = 1", "events[0]: action is missing"),
    (event("lifetime"), "events[0]: expires_in is missing"),
    (event("revoke-tokens") + event("outage", "after_seconds = 1", "request = 1"),
     "events[1]: unknown key 'request'; did you mean 'requests'?"),
    (event("revoke-tokens", "after_seconds = inf"),
     "events[0].after_seconds: expected a finite number of seconds, 0 or more, got inf"),
    (event("outage", "after_seconds = 1", "requests = 1", 'endpoint = "tokn"'),
     "events[0].endpoint: expected 'token' or 'api', got 'tokn'; did you mean 'token'?"),
    (event("errors", "after_seconds = 1", "percent = 101"),
     "events[0].percent: expected a number of percent, above 0 and at most 100, got 101"),
    (event("revoke-tokens", ""), "events[0]: the condition is missing; add one of after_token"),
    (event("revoke-tokens", "after_seconds = 1", "after_api_calls = 1"),
     "events[0]: after_api_calls and after_seconds contradict each other; keep one"),
    (event("advance-clock", "after_seconds = 1", "seconds = 1e300"),
     "events[0].seconds: expected a number of seconds, up to the year 9999"),
    (event("outage"), "events[0]: the outage has no end; add either requests or seconds"),
    (event("outage", "after_seconds = 1", "requests = 1", "seconds = 1"),
     "events[0]: the outage has two ends; keep either requests or seconds"),
    (event("rotate-secret", "after_seconds = 1", 'secret = "x"', 'client = "shopp"'),
     "events[0].client: unknown client 'shopp'; did you mean 'shop'?"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "words"), MISTAKES)
def test_a_mistake_is_one_sentence_with_its_place(scenario_file, text, words):
    path = scenario_file(text)
    with pytest.raises(ConfigError) as raised:
        load_scenario(path, ["shop"])
    message = str(raised.value)
    assert message.startswith(str(path))
    assert words in message
    assert "\n" not in message


def test_a_named_client_must_be_given_to_the_broker(scenario_file):
    path = scenario_file(event("rotate-secret", "after_seconds = 1", 'secret="x"', 'client="a"'))
    with pytest.raises(ConfigError, match="unknown client 'a'; give it to the broker by --client"):
        load_scenario(path, [])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--workers", "2", "--state", "redis://127.0.0.1:1/0"], "does not go with --state"),
        (["--workers", "2"], "--scenario does not go with --workers: it counts the requests"),
        (["--issuer", "/a=rfc6749"], "--scenario does not go with --issuer"),
        (["--profile", "keys"], "night.toml: clients of profile keys have no secret to rotate"),
        (["--profile", "public"], "clients of profile public have no secret to rotate"),
        (["--scenario", "none.toml"], "cannot read none.toml: No such file or directory"),
    ],
)
def test_options_that_do_not_fit_are_refused_before_anything_is_served(
    scenario_file, tmp_path, options, words
):
    path = scenario_file(event("rotate-secret", "after_seconds = 1", 'secret = "n3w"'))
    config = tmp_path / "config.toml"
    config.write_text(
        '[profiles.keys]\nclient_authentication = "private_key_jwt"\n'
        '[profiles.public]\nclient_authentication = "none"\n'
    )
    arguments = ["serve", "--port", "0", "--config", str(config), "--scenario", str(path)]
    refused = CliRunner().invoke(cli, [*arguments, *options])
    assert refused.exit_code != 0
    assert words in refused.output


def test_serve_prints_each_event_between_the_requests(scenario_file):
    path = scenario_file(event("outage", "after_token_requests = 1", "requests = 1"))
    with serving("--client", ":".join(SHOP), "-q", "--scenario", str(path)) as (process, banner):
        url = token_url(banner)
        statuses = [requests.post(url, GRANT, auth=SHOP, timeout=5).status_code for _ in range(3)]
        process.terminate()
        output, errors = process.communicate(timeout=10)
    assert (statuses, errors) == ([200, 503, 200], "")
    said = "scenario: after 1 token request: the token endpoint answers 503 to the next request"
    assert said in output
    assert output.index(said) < output.index("#2 ")


def test_an_audit_reports_what_the_scenario_provoked(scenario_file, tmp_path):
    path = scenario_file(
        event("lifetime", "after_seconds = 0", "expires_in = 60")
        + event("revoke-tokens", "after_token_requests = 2")
        + event("outage", "after_token_requests = 2", "requests = 1")
        + event("revoke-tokens", "after_api_calls = 9")
    )
    json_file, page, markdown = (tmp_path / name for name in ("a.json", "a.html", "a.md"))
    files = ("--json", str(json_file), "--html", str(page), "--markdown", str(markdown))
    done = run(
        "audit", "--scenario", str(path), *files, "--", sys.executable, "-c", APP,
        PYTHONIOENCODING="utf-8",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Scenario: 3 of 4 planned events happened" in done.stdout
    said = [
        "at the start: new tokens have a lifetime of 60 s: happened",
        "after 2 token requests: all tokens are revoked: happened",
        "the token endpoint answers 503 to the next request: 0 requests answered so",
        "after 9 API calls: all tokens are revoked: did not happen",
    ]
    texts = [done.stdout, page.read_text("utf-8"), markdown.read_text("utf-8")]
    for text in texts:
        assert [each for each in said if each not in " ".join(text.split())] == []
    scenario = json.loads(json_file.read_text("utf-8"))["scenario"]
    assert scenario[0]["event"] + ": " + scenario[0]["outcome"] == said[0]
    assert [each["happened"] for each in scenario] == [True, True, True, False]


def test_an_audit_does_not_blame_an_app_for_the_secret_that_was_rotated(following):
    broker, followed, _ = following(
        event("rotate-secret", "after_token_requests = 1", 'secret = "n3w"')
    )
    observation = Observation(broker.journal, broker.profile, followed.is_excused)
    assert [get_token(broker), get_token(broker)] == [200, 401]
    assert observation.so_far().breaches == {}
    # Another secret is the app's own mistake.
    assert get_token(broker, "mistyped") == 401
    assert set(observation.so_far().breaches) == {"basic.credentials"}
    request = Request("POST", "/auth-broker/request-token", Headers(()), BODY)
    broker.handle(request, ORIGIN)
    assert "basic.scheme" in observation.so_far().breaches


def test_an_audit_refuses_to_move_the_clock(scenario_file):
    path = scenario_file(event("advance-clock", "after_seconds = 1", "seconds = 1"))
    refused = CliRunner().invoke(cli, ["audit", "--port", "0", "--scenario", str(path)])
    assert refused.exit_code != 0
    assert "an audit would blame the app; use expire-tokens" in refused.output
