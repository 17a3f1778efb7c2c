"""Clients with one defect of the chapter ``errors``."""

from __future__ import annotations

import http.client
import threading
import time
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests

from examples.model_client import AccessToken, ApiClient, TokenError, TokenManager
from mockbroker.contract import clauses
from mockbroker.model.profile import ErrorForm, Profile, Quota
from tests.mutants.workshop import MakesDo, breaks

NOTHING = AccessToken("", 1e12, 1e12)


class Lenient(TokenManager):
    """Makes nothing of some refusals, instead of an error."""

    def overlooks(self, response: requests.Response) -> bool:
        raise NotImplementedError

    def discard(self, value: str) -> None:
        if value:
            super().discard(value)

    def _read_token(self, response: requests.Response, asked_at: float) -> AccessToken:
        return NOTHING if self.overlooks(response) else super()._read_token(response, asked_at)


@breaks(clauses.errors.INVALID_CLIENT)
class OverlooksA401(Lenient):
    def overlooks(self, response: requests.Response) -> bool:
        return response.status_code == 401


@breaks(clauses.errors.INVALID_CLIENT)
class KeepsItsTokenWhenRefused(TokenManager):
    def _refreshed(self) -> AccessToken:
        try:
            return super()._refreshed()
        except TokenError as error:
            if self._token is not None and "401" in str(error):
                return self._token
            raise


@breaks(clauses.errors.BAD_REQUEST)
class OverlooksWhatIsNotJson(Lenient):
    def overlooks(self, response: requests.Response) -> bool:
        return response.status_code == 400 and not response.text.startswith("{")


@breaks(clauses.errors.BAD_REQUEST)
class OverlooksAnInvalidScope(Lenient):
    def overlooks(self, response: requests.Response) -> bool:
        return "invalid_scope" in response.text


@breaks(clauses.errors.BAD_REQUEST)
class MakesDoWithAnExpiredTokenAtA400(MakesDo):
    def makes_do(self, error: TokenError) -> bool:
        return "400" in str(error)


OWN_FORMS = Profile(
    name="own-errors",
    errors={
        "invalid_client": ErrorForm(
            status=200, body='{"errcode": 40001, "errmsg": "invalid credential"}'
        ),
        "quota": ErrorForm(status=400, body='{"error": {"code": "quota", "message": "too many"}}'),
    },
)


@breaks(clauses.errors.PROFILE, profile=OWN_FORMS)
class OverlooksAnErrorWithStatus200(Lenient):
    def overlooks(self, response: requests.Response) -> bool:
        return response.status_code == 200 and "errcode" in response.text


@breaks(clauses.errors.PROFILE, profile=OWN_FORMS)
class OverlooksAnErrorThatIsAnObject(Lenient):
    def overlooks(self, response: requests.Response) -> bool:
        return response.status_code == 400 and '"error": {' in response.text


class Retrying(TokenManager):
    """Asks again, for some answers."""

    most = 2

    def asks_again(self, response: requests.Response) -> bool:
        raise NotImplementedError

    def pause(self, response: requests.Response) -> None:
        """Before asking again."""

    def _send_token_request(self) -> requests.Response:
        for attempt in range(1, self.most + 1):
            response = super()._send_token_request()
            if attempt == self.most or not self.asks_again(response):
                break
            self.pause(response)
        return response


LIMITED = Profile(
    name="limited",
    quotas=(Quota(requests=20, period_seconds=3600),),
    errors={"quota": ErrorForm(status=200, body='{"errcode": 42, "errmsg": "too many"}')},
)


@breaks(clauses.errors.QUOTA, profile=LIMITED)
class AsksAgainWhenItsQuotaIsUsedUp(Retrying):
    def asks_again(self, response: requests.Response) -> bool:
        return "errcode" in response.text


@breaks(clauses.errors.NO_HAMMERING)
class AsksTwiceWhenUnauthorized(Retrying):
    def asks_again(self, response: requests.Response) -> bool:
        return response.status_code == 401


@breaks(clauses.errors.NO_HAMMERING)
class AsksThriceWhateverIsWrong(Retrying):
    most = 3

    def asks_again(self, response: requests.Response) -> bool:
        return response.status_code in (400, 403)


@breaks(clauses.basic.SCHEME, clauses.errors.NO_HAMMERING)
class TriesTheBodyWhenUnauthorized(Retrying):
    """Finds out how the broker authenticates, as some libraries do."""

    in_body = False

    def asks_again(self, response: requests.Response) -> bool:
        return response.status_code == 401

    def pause(self, response: requests.Response) -> None:
        self.in_body = True

    def _send_token_request(self) -> requests.Response:
        self.in_body = False
        return super()._send_token_request()

    def _token_headers(self) -> dict[str, str]:
        return {"Accept": "application/json"} if self.in_body else super()._token_headers()

    def _token_parameters(self) -> dict[str, str]:
        pair = {"client_id": self._client_id, "client_secret": self._client_secret}
        return {**super()._token_parameters(), **(pair if self.in_body else {})}


class Patient(Retrying):
    """Asks again while the broker is down, unless it was told for how long."""

    def asks_again(self, response: requests.Response) -> bool:
        return response.status_code >= 500 and "Retry-After" not in response.headers


@breaks(clauses.errors.SERVER_ERROR)
class AsksSevenTimes(Patient):
    most = 7


@breaks(clauses.errors.SERVER_ERROR)
class OverlooksA500(Lenient):
    def overlooks(self, response: requests.Response) -> bool:
        return response.status_code == 500


@breaks(clauses.errors.BOUNDED, blocks=[clauses.errors.SERVER_ERROR])
class AsksWithoutEnd(Patient):
    most = 10**9


@breaks(clauses.errors.BOUNDED)
class RepeatsACallUntilItIsNotLimited(ApiClient):
    def request(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        response = super().request(method, url, **kwargs)
        while response.status_code == 429:
            time.sleep(1)
            response = super().request(method, url, **kwargs)
        return response


@breaks(clauses.errors.RETRY_AFTER)
class AsksAgainAtOnce(Retrying):
    def asks_again(self, response: requests.Response) -> bool:
        return response.status_code == 503


@breaks(clauses.errors.RETRY_AFTER)
class AsksAgainAfterASecond(Retrying):
    def asks_again(self, response: requests.Response) -> bool:
        return response.status_code == 429

    def pause(self, response: requests.Response) -> None:
        time.sleep(1)


class Deaf(TokenManager):
    """Makes nothing of some failures of the connection, instead of an error."""

    word = ""

    def _fetch_token(self) -> AccessToken:
        try:
            response = self._session.post(
                self._token_url,
                data=self._token_parameters(),
                headers=self._token_headers(),
                timeout=self._timeout,
                verify=self._verify,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            if self.word in str(error):
                return NOTHING
            raise TokenError(type(error).__name__) from None
        return self._read_token(response, time.time())

    def _time_until_refresh(self, lifetime: float) -> float:
        return lifetime - 30


@breaks(clauses.errors.TRANSPORT)
class OverlooksARefusedConnection(Deaf):
    word = "refused"


@breaks(clauses.errors.TRANSPORT)
class TakesHalfAnAnswer(Deaf):
    word = "IncompleteRead"


class _OneConnection:
    """What there is of a session in a client that keeps one connection open."""

    auth = None

    def __init__(self) -> None:
        self._connection: http.client.HTTPConnection | None = None

    def post(self, url: str, *, data: Any, headers: Any, timeout: float, **_: Any) -> Any:
        parts = urlsplit(url)
        if self._connection is None:
            self._connection = http.client.HTTPConnection(parts.netloc, timeout=timeout)
        headers = {**headers, "Content-Type": "application/x-www-form-urlencoded"}
        target = f"{parts.path}?{parts.query}".rstrip("?")
        response = requests.Response()
        try:
            self._connection.request("POST", target, urlencode(data), headers)
            answer = self._connection.getresponse()
            response.status_code, response.raw = answer.status, answer
            response._content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise requests.ConnectionError(str(error)) from None
        return response

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


@breaks(clauses.errors.IDLE_CONNECTION)
class KeepsOneConnectionOpen(TokenManager):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._plain: Any = _OneConnection()

    def _fetch_token(self) -> AccessToken:
        # TLS is left to the session.
        if self._token_url.startswith("http:"):
            self._session = self._plain
        return super()._fetch_token()


@breaks(clauses.errors.IDLE_CONNECTION)
class KeepsOneConnectionToTheApiOpen(ApiClient):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._turn = threading.Lock()
        self._connection: http.client.HTTPConnection | None = None

    def _send(self, method: str, url: str, token: str, **kwargs: Any) -> requests.Response:
        request = self._session.prepare_request(requests.Request(method, url, **kwargs))
        # TLS and bodies that are read piece by piece are left to the session.
        if not url.startswith("http:") or not isinstance(request.body, (bytes, type(None))):
            return super()._send(method, url, token, **kwargs)
        headers = {**request.headers, "Authorization": f"Bearer {token}"}
        response = requests.Response()
        with self._turn:
            if self._connection is None:
                parts = urlsplit(url)
                self._connection = http.client.HTTPConnection(parts.netloc, timeout=self._timeout)
            try:
                self._connection.request(method, request.path_url, request.body, headers)
                answer = self._connection.getresponse()
                response.status_code, response._content = answer.status, answer.read()
            except (OSError, http.client.HTTPException) as error:
                self._connection = None
                raise requests.ConnectionError(type(error).__name__) from None
        response._content_consumed = True  # type: ignore[attr-defined]
        return response


@breaks(clauses.errors.TIMEOUT)
class WaitsWithoutEnd(TokenManager):
    def __init__(self, *args: Any, timeout: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, timeout=None, **kwargs)  # type: ignore[arg-type]


@breaks(clauses.errors.TIMEOUT)
class ReadsMillisecondsForATimeout(TokenManager):
    def __init__(self, *args: Any, timeout: float = 10, **kwargs: Any) -> None:
        super().__init__(*args, timeout=timeout * 1000, **kwargs)


@breaks(clauses.errors.NOT_CACHED)
class RemembersARefusal(TokenManager):
    refusal: TokenError | None = None

    def _fetch_token(self) -> AccessToken:
        if self.refusal is not None:
            raise self.refusal
        try:
            return super()._fetch_token()
        except TokenError as error:
            if "status 4" in str(error):
                self.refusal = error
            raise


@breaks(clauses.errors.NOT_CACHED)
class RestsAfterAnAnswerThatIsNotJson(TokenManager):
    rests_until = 0.0

    def _fetch_token(self) -> AccessToken:
        if time.time() < self.rests_until:
            raise TokenError("resting")
        try:
            return super()._fetch_token()
        except TokenError as error:
            if "not JSON" in str(error):
                self.rests_until = time.time() + 60
            raise


@breaks(clauses.errors.CAUSE)
class SaysOnlyThatItFailed(TokenManager):
    def _fetch_token(self) -> AccessToken:
        try:
            return super()._fetch_token()
        except TokenError:
            raise TokenError("no token") from None


@breaks(clauses.errors.CAUSE)
class CallsEveryRefusalInvalidClient(TokenManager):
    def _read_token(self, response: requests.Response, asked_at: float) -> AccessToken:
        if response.status_code != 200:
            raise TokenError("refused", "invalid_client")
        return super()._read_token(response, asked_at)
