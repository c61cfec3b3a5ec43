"""What a real Airflow shows of the secret, the token and signed URLs, and to whom."""

from __future__ import annotations

import json
import re
from base64 import b64encode

import jwt
import pytest

from tests.system.places import XCOMS, Reader, places_of, texts
from tests.system.real_stream import SIGNATURE, RealStream

pytestmark = pytest.mark.system

TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")


def token_of(real: RealStream) -> str:
    return jwt.encode({"server": True}, real.sandbox.api_secret, algorithm="HS256")


@pytest.fixture(scope="module")
def shown(real: RealStream, runs: dict[str, str]) -> dict[str, str]:
    """Return all that the API shows of the runs to a user without rights on connections: path -> body."""
    return Reader(real).everything(runs)


class TestAnybody:
    """Who may read all logs and the whole database."""

    def test_neither_secret_nor_token_are_anywhere(self, real: RealStream, runs: dict[str, str]) -> None:
        for needle in (real.sandbox.api_secret, token_of(real)):
            assert list(places_of(real, needle)) == []

    def test_no_token_that_the_secret_signs_is_anywhere(self, real: RealStream, runs: dict[str, str]) -> None:
        """Airflow's own tokens, which others sign, are none of ours."""
        for place, text in texts(real):
            for token in set(TOKEN.findall(text)):
                with pytest.raises(jwt.InvalidTokenError):
                    print(place, jwt.decode(token, real.sandbox.api_secret, algorithms=["HS256"]))

    def test_no_disguise_of_the_secret_is_anywhere(self, real: RealStream, runs: dict[str, str]) -> None:
        secret = real.sandbox.api_secret
        disguises = {secret, secret[::-1], secret.encode().hex(), repr(secret.encode())[2:-1]}
        disguises |= {b64encode(b"." * shift + secret.encode()).decode()[4:-4] for shift in range(3)}

        assert {place for place, text in texts(real) for each in disguises if each in text} == set()

    def test_a_signed_url_is_in_its_xcom_and_nowhere_else(
        self, real: RealStream, runs: dict[str, str]
    ) -> None:
        result = real.airflow.xcom("result_with_signed_url", runs["result_with_signed_url"], "wait")

        assert result["url"].endswith(SIGNATURE)
        assert list(places_of(real, SIGNATURE)) == [XCOMS]


class TestUserWithoutRightsOnConnections:
    """Who may run DAGs, and read what they leave, by Airflow's API."""

    def test_connections_are_withheld(self, real: RealStream) -> None:
        reader = Reader(real)

        for path in ("", "/stream_default", "/smtp_default"):
            assert reader.get(f"/api/v2/connections{path}").status_code == 403

    def test_what_dag_runs_leave_is_shown(
        self, real: RealStream, runs: dict[str, str], shown: dict[str, str]
    ) -> None:
        """Without this, it would prove nothing that the secret is not among it."""
        stream_task_id = real.airflow.xcom("retries_do_not_help", runs["retries_do_not_help"], "delete")

        places = [
            path.rpartition("/taskInstances/")[2] for path, body in shown.items() if stream_task_id in body
        ]
        assert {"delete/xcomEntries/return_value", "wait", "wait/logs/1"} <= set(places)

    def test_neither_secret_nor_token_are_among_it(self, real: RealStream, shown: dict[str, str]) -> None:
        for needle in (real.sandbox.api_secret, token_of(real)):
            assert [path for path, body in shown.items() if needle in body] == []

    def test_a_signed_url_is_in_its_xcom_and_nowhere_else(self, shown: dict[str, str]) -> None:
        places = [path for path, body in shown.items() if SIGNATURE in body]

        assert [path.rpartition("/taskInstances/")[2] for path in places] == ["wait/xcomEntries/return_value"]


class TestOperatorOfAirflow:
    """Who may see connections, in the UI or on the command line."""

    def test_the_secret_is_where_airflow_expects_one(self, real: RealStream) -> None:
        """The command prints it, from the field that Airflow encrypts and masks for such things."""
        printed = real.airflow.cli("connections", "get", "stream_default", "--output", "json")

        (connection,) = json.loads(printed.stdout)
        secret = real.sandbox.api_secret
        assert {field for field, value in connection.items() if secret in str(value)} == {
            "password",
            "get_uri",
        }

    def test_a_stored_connection_shows_it_neither_in_the_ui_nor_in_the_database(
        self, real: RealStream
    ) -> None:
        secret = "a-secret-that-somebody-typed-into-the-form"
        fields = {"connection_id": "typed", "conn_type": "stream", "login": "key", "password": secret}
        real.airflow.call("POST", "/connections", body=fields)

        stored = real.airflow.call("GET", "/connections/typed")
        assert (stored["login"], stored["password"]) == ("key", "***")
        assert secret not in json.dumps(stored)
        assert list(places_of(real, secret)) == []
