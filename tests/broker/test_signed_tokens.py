"""Signed tokens, the keys that a broker publishes, and its metadata."""

from __future__ import annotations

import base64
import hmac

import jwt
import pytest
import requests
from click.testing import CliRunner
from cryptography.hazmat.primitives import serialization
from jwskate import JwkSet, SignedJwt

from mockbroker import Broker, Credentials, Fault, Metadata, Profile, Server
from mockbroker.broker.faults import TokenFlaw
from mockbroker.cli.commands import cli
from tests.broker.programs import serving, token_url
from tests.broker.stores import BOTH

STORES = BOTH
SHOP = Credentials("shop", "s3cr:et")
ACME = Profile(
    name="acme",
    token_path="/token",
    token_format="jwt",
    scope="read",
    metadata=Metadata(issuer_path="/oauth2"),
)
OAUTH, OPENID = "oauth-authorization-server", "openid-configuration"


@pytest.fixture
def broker(new_broker):
    with new_broker(profile=ACME, credentials=SHOP).running() as running:
        yield running


def origin_of(broker: Broker) -> str:
    return broker.token_url.removesuffix("/token")


def get_token(broker: Broker, **parameters: str) -> str:
    data = {"grant_type": "client_credentials", **parameters}
    answer = requests.post(broker.token_url, data=data, auth=broker.auth, timeout=5)
    token: str = answer.json()["access_token"]
    return token


def validated(
    broker: Broker, token: str, audience: str = "", origin: str = ""
) -> dict[str, object]:
    """The claims of a token as a resource server reads them, by PyJWT and the published keys."""
    base = origin_of(broker)
    document = requests.get(f"{base}/oauth2/.well-known/{OPENID}", timeout=5).json()
    key = jwt.PyJWKClient(document["jwks_uri"]).get_signing_key_from_jwt(token)
    claims: dict[str, object] = jwt.decode(
        token,
        key,
        algorithms=["RS256"],
        audience=audience or broker.api_url,
        issuer=f"{origin}/oauth2" if origin else document["issuer"],
    )
    return claims


def test_a_resource_server_accepts_a_token(broker):
    token = get_token(broker)
    claims = validated(broker, token)
    assert claims["exp"] - claims["iat"] == 3599
    assert len(claims["jti"]) == 16
    assert {name: claims[name] for name in ("iss", "sub", "client_id", "aud", "scope")} == {
        "iss": origin_of(broker) + "/oauth2",
        "sub": "shop",
        "client_id": "shop",
        "aud": broker.api_url,
        "scope": "read",
    }
    assert jwt.get_unverified_header(token)["typ"] == "at+jwt"
    answer = requests.get(
        broker.api_url + "/x", headers={"Authorization": f"Bearer {token}"}, timeout=5
    )
    assert answer.status_code == 200


def test_another_library_verifies_it_too(broker):
    keys = JwkSet(requests.get(origin_of(broker) + "/jwks", timeout=5).json())
    token = SignedJwt(get_token(broker))
    assert token.verify_signature(keys, alg="RS256")
    assert token.verify_signature(keys.jwks[0], alg="RS256")
    assert keys.jwks[0].thumbprint() == token.headers["kid"]


def test_a_key_set_has_no_private_part(broker):
    [key] = requests.get(origin_of(broker) + "/jwks", timeout=5).json()["keys"]
    assert sorted(key) == ["alg", "e", "kid", "kty", "n", "use"]


@pytest.mark.parametrize("parameter", ["audience", "resource"])
def test_the_audience_is_the_one_that_was_asked_for(parameter, broker):
    broker.strict = False
    token = get_token(broker, **{parameter: "https://orders.example"})
    assert validated(broker, token, "https://orders.example")["client_id"] == "shop"


FLAWS = {
    "expired": jwt.ExpiredSignatureError,
    "not-yet-valid": jwt.ImmatureSignatureError,
    "audience": jwt.InvalidAudienceError,
    "issuer": jwt.InvalidIssuerError,
    "key": jwt.InvalidSignatureError,
    "unknown-key": jwt.PyJWKClientError,
    "unsigned": jwt.InvalidAlgorithmError,
    "algorithm": jwt.InvalidAlgorithmError,
    "altered": jwt.InvalidSignatureError,
}


def test_every_flaw_is_tried():
    assert set(FLAWS) == {flaw.value for flaw in TokenFlaw}


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_resource_server_can_notice_the_flaw(flaw, broker):
    broker.script(Fault.flawed_token(flaw))
    token = get_token(broker)
    with pytest.raises(FLAWS[flaw]):
        validated(broker, token)
    assert validated(broker, get_token(broker))["sub"] == "shop"


def test_the_secret_of_the_flaw_algorithm_is_the_public_key(broker):
    broker.script(Fault.flawed_token("algorithm"))
    token = get_token(broker)
    [published] = requests.get(origin_of(broker) + "/jwks", timeout=5).json()["keys"]
    pem = jwt.PyJWK(published).key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    # By hand: libraries refuse a public key as a secret by now.
    signed, _, signature = token.rpartition(".")
    digest = hmac.digest(pem, signed.encode(), "sha256")
    assert base64.urlsafe_b64encode(digest).decode().rstrip("=") == signature


def test_a_flawed_token_is_not_the_same_one_again(broker):
    broker.token_policy = "same"
    first = get_token(broker)
    broker.script(Fault.flawed_token("audience"))
    assert get_token(broker) != first


@pytest.mark.parametrize("withdraw_old", [False, True])
def test_a_rotated_key_signs_and_old_ones_stay_unless_withdrawn(withdraw_old, broker):
    old = get_token(broker)
    broker.rotate_signing_key(withdraw_old=withdraw_old)
    new = get_token(broker)
    kids = [jwt.get_unverified_header(token)["kid"] for token in (old, new)]
    assert kids[0] != kids[1]
    published = requests.get(origin_of(broker) + "/jwks", timeout=5).json()["keys"]
    assert [key["kid"] for key in published] == kids[withdraw_old:]
    assert validated(broker, new)["sub"] == "shop"


def test_a_reset_takes_a_rotation_back(broker):
    before = requests.get(origin_of(broker) + "/jwks", timeout=5).json()
    broker.rotate_signing_key()
    broker.reset()
    assert requests.get(origin_of(broker) + "/jwks", timeout=5).json() == before


def test_brokers_that_share_a_state_share_the_key(redis_server):
    url = redis_server.new_url()
    brokers = [Broker(profile=ACME, credentials=SHOP, state=url) for _ in range(2)]
    with brokers[0].running(), brokers[1].running():
        brokers[0].rotate_signing_key()
        token = get_token(brokers[0])
        keys = [requests.get(origin_of(each) + "/jwks", timeout=5).json() for each in brokers]
        assert keys[0] == keys[1]
        assert (
            validated(brokers[1], token, brokers[0].api_url, origin_of(brokers[0]))["sub"] == "shop"
        )


def test_the_control_api_scripts_flaws_and_rotates(broker):
    control = broker.control_url
    body = {"faults": [{"token_flaw": "issuer"}]}
    requests.post(f"{control}/faults/token", json=body, timeout=5).raise_for_status()
    with pytest.raises(jwt.InvalidIssuerError):
        validated(broker, get_token(broker))
    answer = requests.post(f"{control}/keys/rotate", json={"withdraw_old": True}, timeout=5)
    assert answer.json() == {"done": True}
    assert validated(broker, get_token(broker))["sub"] == "shop"
    refusal = requests.post(f"{control}/faults/api", json=body, timeout=5)
    assert refusal.status_code == 422
    assert "is a fault of the token endpoint" in refusal.text


def test_a_flaw_needs_signed_tokens(new_broker):
    broker = new_broker()
    with pytest.raises(ValueError, match="the profile autograb has opaque ones"):
        broker.script(Fault.flawed_token("expired"))
    with pytest.raises(ValueError, match="use script"):
        broker.api_script(Fault.flawed_token("expired"))
    with pytest.raises(ValueError, match=r"must be one of expired, .*, not 'late'"):
        Fault.flawed_token("late")


@pytest.mark.parametrize("name", [OAUTH, OPENID])
@pytest.mark.parametrize("path", ["/.well-known/{}/oauth2", "/oauth2/.well-known/{}"])
def test_a_client_discovers_the_token_url(path, name, broker):
    document = requests.get(origin_of(broker) + path.format(name), timeout=5).json()
    base = origin_of(broker)
    assert document["issuer"] == base + "/oauth2"
    assert document["token_endpoint"] == broker.token_url
    assert document["jwks_uri"] == base + "/jwks"
    assert document["scopes_supported"] == ["read"]
    assert document["token_endpoint_auth_methods_supported"] == ["client_secret_basic"]
    assert ("authorization_endpoint" in document) is (name == OPENID)


def test_the_document_has_the_name_by_which_it_was_asked_for(broker):
    url = f"{origin_of(broker)}/oauth2/.well-known/{OAUTH}"
    for host, base in (("broker:8080", "http://broker:8080"), ("a,b", origin_of(broker))):
        document = requests.get(url, headers={"Host": host}, timeout=5).json()
        assert document["issuer"] == base + "/oauth2"
        assert document["token_endpoint"] == base + "/token"


def test_a_profile_decides_what_is_published(new_broker):
    opaque = Profile(
        name="acme",
        token_path="/token",
        token_query="v=1",
        client_authentication=["post"],
        metadata=Metadata(documents=[OAUTH], members={"authorization_endpoint": "{issuer}/a"}),
    )
    with new_broker(profile=opaque).running() as broker:
        base = broker.token_url.removesuffix("/token?v=1")
        document = requests.get(f"{base}/.well-known/{OAUTH}", timeout=5).json()
        assert document["token_endpoint"] == broker.token_url
        assert document["token_endpoint_auth_methods_supported"] == ["client_secret_post"]
        assert document["authorization_endpoint"] == base + "/a"
        assert not {"jwks_uri", "scopes_supported"} & set(document)
        for path in (f"/.well-known/{OPENID}", "/jwks"):
            assert requests.get(base + path, timeout=5).status_code == 404


def test_each_tenant_has_an_issuer_of_its_own(new_broker):
    tenants = Profile(
        name="tenants",
        token_path="/{tenant}/token",
        path_values={"tenant": "common"},
        token_format="jwt",
        metadata=Metadata(issuer_path="/{tenant}/v2.0/", jwks_path="/{tenant}/keys"),
    )
    with new_broker(profile=tenants).running() as broker:
        base = broker.token_url.removesuffix("/common/token")
        document = requests.get(f"{base}/common/v2.0/.well-known/{OPENID}", timeout=5).json()
        assert document["issuer"] == f"{base}/common/v2.0/"
        for path in (f"/contoso/v2.0/.well-known/{OPENID}", f"/.well-known/{OAUTH}/contoso/v2.0"):
            document = requests.get(base + path, timeout=5).json()
            assert document["issuer"] == f"{base}/contoso/v2.0/"
            assert document["token_endpoint"] == f"{base}/contoso/token"
            assert document["jwks_uri"] == f"{base}/contoso/keys"
        assert requests.get(document["jwks_uri"], timeout=5).json()["keys"]
        pair = (broker.credentials.client_id, broker.credentials.client_secret)
        data = {"grant_type": "client_credentials"}
        answer = requests.post(document["token_endpoint"], data=data, auth=pair, timeout=5).json()
        claims = jwt.decode(answer["access_token"], options={"verify_signature": False})
        assert claims["iss"] == document["issuer"]


def test_documents_are_read_by_get(broker):
    answer = requests.post(origin_of(broker) + "/jwks", timeout=5)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")
    assert requests.head(origin_of(broker) + "/jwks", timeout=5).status_code == 200


def test_issuers_of_one_server_are_apart(new_broker):
    brokers = [new_broker(profile=ACME, credentials=SHOP) for _ in range(2)]
    with Server() as server:
        for broker, prefix in zip(brokers, ("/a", "/b"), strict=True):
            server.mount(broker, prefix)
        for path in ("/.well-known/{}/b/oauth2", "/b/oauth2/.well-known/{}"):
            document = requests.get(server.origin + path.format(OAUTH), timeout=5).json()
            assert document["issuer"] == f"{server.origin}/b/oauth2"
            assert document["token_endpoint"] == brokers[1].token_url
        token = get_token(brokers[0])
        assert validated(brokers[0], token)["iss"] == f"{server.origin}/a/oauth2"
        with pytest.raises(jwt.InvalidTokenError):
            validated(brokers[1], token)
        headers = {"Authorization": f"Bearer {token}"}
        for broker, status in zip(brokers, (200, 401), strict=True):
            answer = requests.get(broker.api_url + "/x", headers=headers, timeout=5)
            assert answer.status_code == status


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("issuer_path", "/a?b"),
        ("issuer_path", "oauth2"),
        ("jwks_path", "jwks"),
        ("documents", ["other"]),
        ("documents", []),
    ],
)
def test_metadata_that_does_not_fit_is_refused(field, value):
    with pytest.raises(ValueError, match=f"{field}"):
        Metadata(**{field: value})


def test_serve_has_several_issuers_on_one_port(tmp_path):
    config = tmp_path / "brokers.toml"
    config.write_text(
        '[profiles.acme]\ntoken_path = "/token"\ntoken_format = "jwt"\nmetadata = {}\n'
    )
    journal = tmp_path / "journal.jsonl"
    arguments = ("--config", str(config), "--issuer", "/a=acme", "--issuer", "/b/c=acme")
    with serving(*arguments, "--client", "shop:s3cr:et", "--journal", str(journal)) as (
        process,
        banner,
    ):
        base = token_url(banner).removesuffix("/auth-broker/request-token")
        tokens = []
        for path in ("/a", "/b/c"):
            document = requests.get(f"{base}/.well-known/{OAUTH}{path}", timeout=5).json()
            answer = requests.post(
                document["token_endpoint"],
                {"grant_type": "client_credentials"},
                auth=("shop", "s3cr:et"),
                timeout=5,
            )
            tokens.append(answer.json()["access_token"])
            assert requests.get(f"{base}{path}/__mockbroker__/ready", timeout=5).json()["ready"]
        for path, statuses in (("/a", [200, 401]), ("/b/c", [401, 200])):
            answers = [
                requests.get(
                    f"{base}{path}/v2/x", headers={"Authorization": f"Bearer {token}"}, timeout=5
                )
                for token in tokens
            ]
            assert [answer.status_code for answer in answers] == statuses
        announced = [process.stdout.readline() for _ in range(8)]
        process.terminate()
        output, _ = process.communicate(timeout=10)
    assert f"  token URL      {base}/b/c/token\n" in announced
    assert "stopped after 8 requests" in output
    assert len(journal.read_text().splitlines()) == 8
    assert not any(token in journal.read_text() for token in tokens)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--issuer", "/a"], "write it as PATH=PROFILE"),
        (["--issuer", "/.well-known=rfc6749"], "write it as PATH=PROFILE"),
        (["--issuer", "/a=rfc6749", "--issuer", "/a=autograb"], "path /a is given twice"),
        (["--issuer", "/v2=rfc6749"], "profile autograb has /v2 at that path"),
        (["--issuer", "/v2/x=rfc6749"], "profile autograb has /v2 at that path"),
        (["--issuer", "/a=nope"], "unknown profile 'nope'"),
        (["--issuer", "/a=rfc6749", "--state", "redis://127.0.0.1:1/0"], "share their tokens"),
    ],
)
def test_an_issuer_that_cannot_be_served_is_a_usage_error(arguments, words):
    done = CliRunner().invoke(cli, ["serve", "--port", "0", *arguments])
    assert done.exit_code != 0
    assert words in done.output
