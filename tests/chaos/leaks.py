"""Looking for secrets where none may stand: in every log, and in every table of Airflow's database."""

from __future__ import annotations

from pathlib import Path

import jwt

from tests.chaos.postgres import Postgres

SIGNATURE = "Signature="
"""What the signed URL of an export carries: it belongs into the XCom of the result, and nowhere else."""


def leaks(folder: Path, postgres: Postgres, api_secret: str) -> list[str]:
    """Return where the secret, the token or a signed URL stands and must not."""
    token = jwt.encode({"server": True}, api_secret, algorithm="HS256")
    needles = {"the API secret": api_secret, "the token": token, "a signed URL": SIGNATURE}
    found = []
    for path in folder.rglob("*.log"):
        text = path.read_text(errors="replace")
        found += [
            f"{what} in {path.relative_to(folder)}" for what, needle in needles.items() if needle in text
        ]
    connection = postgres.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute("select table_name from information_schema.tables where table_schema = 'public'")
            for (table,) in cursor.fetchall():
                for what, needle in needles.items():
                    if what == "a signed URL" and table.partition("_")[0] == "xcom":
                        continue  # Airflow 3.4 has two tables of XComs
                    cursor.execute(
                        f'select count(*) from "{table}" as each where position(%s in each::text) > 0',
                        [needle],
                    )
                    if cursor.fetchone()[0]:
                        found.append(f"{what} in the table {table}")
    finally:
        connection.close()
    return found
