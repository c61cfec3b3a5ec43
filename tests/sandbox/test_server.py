from __future__ import annotations

import pytest

from airflow_provider_streamtasks.sandbox.api import StreamApi
from airflow_provider_streamtasks.sandbox.server import SandboxServer


async def url(host: str) -> str:
    server = SandboxServer(StreamApi("key", "secret"), host)
    try:
        return await server.start()
    finally:
        await server.stop()


@pytest.mark.parametrize(
    ("host", "prefix"), [("127.0.0.1", "http://127.0.0.1:"), ("127.0.0.2", "http://127.0.0.2:")]
)
async def test_it_listens_on_a_loopback_address(host: str, prefix: str) -> None:
    assert (await url(host)).startswith(prefix)


async def test_localhost_is_one() -> None:
    assert (await url("localhost")).startswith(("http://127.0.0.1:", "http://[::1]:"))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", ""])
def test_other_addresses_are_refused(host: str) -> None:
    with pytest.raises(ValueError, match="listens on loopback addresses only"):
        SandboxServer(StreamApi("key", "secret"), host)
