"""The fixtures with a profile whose clients authenticate by a certificate."""

from __future__ import annotations

PROFILES = """
[profiles.mutual]
client_authentication = "tls_client_auth"
"""
USE = """
    from mockbroker import Broker, Credentials
    def exchange(broker, cert):
        form = {"grant_type": "client_credentials", "client_id": broker.credentials.client_id}
        kwargs = {"verify": broker.ca_file, "timeout": 5, "cert": cert}
        return requests.post(broker.token_url, data=form, **kwargs).status_code

    def files(broker):
        return broker.credentials.certificate_file, broker.credentials.key_file
"""


def test_brokers_speak_tls_and_give_the_paths_of_certificate_and_key(pytester, run):
    pytester.makefile(
        ".ini",
        pytest="""
        [pytest]
        auth_broker_profile = mutual
        auth_broker_env =
            SHOP_CERTIFICATE = {certificate_file}
            SHOP_KEY = {key_file}
        """,
    )
    pytester.makepyprojecttoml(PROFILES.replace("[profiles.", "[tool.mockbroker.profiles."))
    run(
        USE
        + """
    import os

    def test_of_the_session(auth_broker_session):
        cert = os.environ["SHOP_CERTIFICATE"], os.environ["SHOP_KEY"]
        assert cert == files(auth_broker_session)
        assert exchange(auth_broker_session, cert) == 200
        assert exchange(auth_broker_session, None) == 401

    def test_after_a_reset(auth_broker):
        assert exchange(auth_broker, files(auth_broker)) == 200
    """
    ).assert_outcomes(passed=2)


def test_a_marker_may_choose_the_profile(pytester, run):
    pytester.makepyprojecttoml(PROFILES.replace("[profiles.", "[tool.mockbroker.profiles."))
    result = run(
        USE
        + """
    def test_plain(auth_broker):
        assert auth_broker.token_url.startswith("http://")

    @pytest.mark.auth_broker(profile="mutual")
    def test_mutual(auth_broker, tmp_path):
        assert exchange(auth_broker, files(auth_broker)) == 200
        auth_broker.register("other", certificate=auth_broker.credentials.certificate)
        assert {each.client_id for each in auth_broker.registered} > {"other"}

    @pytest.mark.auth_broker(profile="mutual")
    def test_unknown_certificate(auth_broker):
        other = Broker(profile=auth_broker.profile, credentials=Credentials("x", "y"))
        assert exchange(auth_broker, files(other)) == 401
        auth_broker.assert_conforms()
    """
    )
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*the certificate of CN=x is registered for no client*"])
