"""An XCom backend of somebody's own: values are in files, and Airflow's database has where."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from uuid import uuid4

from airflow.sdk.bases.xcom import BaseXCom

PREFIX = "xcom-file://"


class FileXComs(BaseXCom):
    """Keeps every value in a file of the folder ``FILE_XCOMS``."""

    @staticmethod
    def serialize_value(value: Any, **_: Any) -> str:
        path = Path(os.environ["FILE_XCOMS"]) / uuid4().hex
        path.write_text(json.dumps(value))
        return BaseXCom.serialize_value(f"{PREFIX}{path}")

    @staticmethod
    def deserialize_value(result: Any) -> Any:
        where = BaseXCom.deserialize_value(result)
        if not isinstance(where, str) or not where.startswith(PREFIX):
            return where
        return json.loads(Path(where.removeprefix(PREFIX)).read_text())
