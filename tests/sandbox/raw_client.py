from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import jwt

from airflow_provider_streamtasks.sandbox import Sandbox


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)


@dataclass(frozen=True)
class RawClient:
    """Speaks to the sandbox with nothing but http.client, so that nothing is smoothed over."""

    sandbox: Sandbox

    def credentials(self, claims: dict[str, Any] | None = None, secret: str | None = None) -> dict[str, str]:
        token = jwt.encode(claims or {"server": True}, secret or self.sandbox.api_secret, algorithm="HS256")
        return {"Authorization": token, "stream-auth-type": "jwt"}

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = 10.0,
    ) -> Reply:
        query = {"api_key": self.sandbox.api_key} if query is None else query
        headers = self.credentials() if headers is None else headers
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        url = f"{path}{'&' if '?' in path else '?'}{urlencode(query)}" if query else path
        connection = http.client.HTTPConnection(self.sandbox.url.removeprefix("http://"), timeout=timeout)
        try:
            connection.request(method, url, body=content, headers=headers)
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, names, response.read())
        finally:
            connection.close()

    def get_task(self, stream_task_id: str) -> Reply:
        return self.send("GET", f"/api/v2/tasks/{stream_task_id}")

    def delete_channels(self, *cids: str, hard_delete: bool = True) -> Reply:
        body = {"cids": list(cids or ("messaging:a",)), "hard_delete": hard_delete}
        return self.send("POST", "/api/v2/chat/channels/delete", body)
