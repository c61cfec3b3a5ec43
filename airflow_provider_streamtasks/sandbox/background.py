"""A sandbox in a thread of this process, for tests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from airflow_provider_streamtasks.sandbox.api import StreamApi
from airflow_provider_streamtasks.sandbox.control import SandboxControl
from airflow_provider_streamtasks.sandbox.server import SandboxServer


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A sandbox that is running.

    :param url: the base URL for clients.
    :param api_key: the API key for clients.
    :param api_secret: the API secret for clients.
    :param control: steers it.
    """

    url: str
    api_key: str
    api_secret: str
    control: SandboxControl


@contextmanager
def running_sandbox(
    *,
    api_key: str = "sandbox-key",
    api_secret: str = "sandbox-secret-of-more-than-32-bytes",  # noqa: S107 - opens nothing but the sandbox
    window: float = 60.0,
    seed: int = 0,
    strict: bool = False,
    port: int = 0,
) -> Iterator[Sandbox]:
    """Run a sandbox in a background thread for the length of a ``with`` block.

    .. code-block:: python

        with running_sandbox() as sandbox:
            sandbox.control.fate(operation="DeleteUsers", end="failed")
            run_my_dag(host=sandbox.url, login=sandbox.api_key, password=sandbox.api_secret)
            assert len(sandbox.control.journal("DeleteUsers")) == 1

    :param api_key: the API key that clients must use.
    :param api_secret: the secret that their tokens must be signed with.
    :param window: length of a rate limit window in seconds; shorter than 60 scales the minute.
    :param seed: makes faults with a ``probability`` repeatable.
    :param strict: whether exports of channels that it does not have are refused, as Stream does, and polls of
        an import v2 without a body.
    :param port: 0 picks a free one.
    """
    api = StreamApi(api_key, api_secret, window=window, seed=seed, strict=strict)
    server = SandboxServer(api, port=port)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="stream-sandbox", daemon=True)
    thread.start()
    try:
        url = asyncio.run_coroutine_threadsafe(server.start(), loop).result()
        yield Sandbox(url, api_key, api_secret, SandboxControl(url))
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
