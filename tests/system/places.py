"""Where a real Airflow shows something: its logs, its database, and what its API says to a user."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jwt
import requests

from tests.system.real_stream import RealStream

XCOMS = "XComs"
"""The place of whatever stands in an XCom."""

_LOGGING_IN_AND_OUT = "/api/v2/auth/"


def places_of(real: RealStream, needle: str) -> Iterator[str]:
    """Yield every log file and every table of the metadata database in which a text stands; or ``XCOMS``."""
    yield from dict.fromkeys(place for place, text in texts(real) if needle in text)


def texts(real: RealStream) -> Iterator[tuple[str, str]]:
    """Yield every log file, and every row of every table of the metadata database."""
    for file in real.airflow.home.rglob("*.log"):
        yield f"log {file.relative_to(real.airflow.home)}", file.read_text(errors="replace")
    with sqlite3.connect(Path(real.airflow.database)) as database:
        tables = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
        for table in tables:
            # How many tables hold them is Airflow's own business.
            place = XCOMS if re.match("xcom(_|$)", table) else f"table {table}"
            for row in database.execute(f'select * from "{table}"'):
                for value in row:
                    yield place, value.decode(errors="replace") if isinstance(value, bytes) else str(value)


class Reader:
    """
    A user of Airflow's API who may run DAGs and see what they leave, but has no rights on connections.

    It is the role ``USER`` of Airflow's simple auth manager.
    """

    def __init__(self, real: RealStream) -> None:
        self._url = real.airflow.base_url
        claims = jwt.decode(real.airflow.token(), options={"verify_signature": False})
        secret = real.airflow.env["AIRFLOW__API_AUTH__JWT_SECRET"]
        token = jwt.encode({**claims, "sub": "reader", "role": "USER"}, secret, algorithm="HS512")
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy of the environment is not for a loopback address
        self._session.headers.update({"Authorization": f"Bearer {token}", "Accept": "application/json"})

    def get(self, path: str) -> requests.Response:
        return self._session.get(f"{self._url}{path}", timeout=90)

    def everything(self, runs: Mapping[str, str]) -> dict[str, str]:
        """
        Return all that Airflow's API says about DAG runs, and about nothing in particular: path -> body.

        Refusals are among it, since their words may tell something, too.

        :param runs: DAG -> run id
        """
        calls = {
            path: ways["get"].get("parameters", ())
            for path, ways in self.get("/openapi.json").json()["paths"].items()
            if "get" in ways and not path.startswith(_LOGGING_IN_AND_OUT)
        }
        shown: dict[str, str] = {}
        for dag_id, run_id in runs.items():
            run = f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"
            for task in self.get(f"{run}/taskInstances").json()["task_instances"]:
                names = {
                    "dag_id": dag_id,
                    "dag_run_id": run_id,
                    "task_id": task["task_id"],
                    "map_index": "-1",
                    "try_number": "1",
                    "task_try_number": "1",
                }
                xcoms = self.get(f"{run}/taskInstances/{task['task_id']}/xcomEntries").json()["xcom_entries"]
                for xcom in [{}, *({"xcom_key": each["key"]} for each in xcoms)]:
                    shown |= self._all_of(calls, names | xcom, shown)
        return shown

    def _all_of(
        self, calls: Mapping[str, Iterable[dict[str, Any]]], names: Mapping[str, str], known: Container[str]
    ) -> Iterator[tuple[str, str]]:
        """Yield path and body of the calls that need these parameters alone, unless known already."""
        quoted = {name: quote(value, safe="") for name, value in names.items()}
        for path, parameters in calls.items():
            needed = {each["name"]: each["in"] for each in parameters if each["required"]}
            if not set(needed) <= set(names):
                continue
            query = "&".join(f"{name}={quoted[name]}" for name, place in needed.items() if place == "query")
            path = path.format_map(quoted) + ("?" + query if query else "")
            if path not in known:
                yield path, self.get(path).text
