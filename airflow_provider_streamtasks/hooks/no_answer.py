"""Why a request got no answer: a type, as Stream's SDK has it, and a sentence of its own for each cause."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator

from airflow_provider_streamtasks.exceptions import StreamTransportException
from airflow_provider_streamtasks.hooks.connection import StreamConnection
from airflow_provider_streamtasks.protocol.wire import Request

_NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNKNOWN_PROTOCOL")
"""What OpenSSL, of one version or another, says of an answer that is not TLS."""


def no_answer(
    request: Request, connection: StreamConnection, error_type: str, sent: bool, error: BaseException
) -> StreamTransportException:
    """
    Return the exception for a request to which no answer came.

    :param error_type: see :class:`StreamTransportException`, or ``proxy``, for a proxy that is not there
    :param sent: whether Stream may have received the request
    :param error: what the library raised
    """
    where = connection.credentials.base_url
    if error_type == "timeout":
        what = (
            f"{where} did not answer within {connection.request_timeout:g} s"
            if sent
            else f"no connection to {where} within {connection.connect_timeout:g} s. "
            "A firewall may be in the way"
        )
    elif error_type == "connection_refused":
        what = _refused(where, error)
    elif error_type == "tls_handshake_failed":
        what = f"no trusted TLS connection to {where}: {_tls_reason(str(error))}"
    else:
        what = {
            "connection_reset": f"{where} closed the connection before its answer was complete, or the "
            "answer is no HTTP",
            "dns_failure": f"the host of {where} has no address: check the base URL (the connection's host)",
            "proxy": f"the proxy to {where} cannot be reached, or does not let us through: check "
            "HTTPS_PROXY, HTTP_PROXY and NO_PROXY in the environment",
        }.get(error_type, f"the transfer with {where} failed ({type(error).__name__})")
    error_type = "connection_refused" if error_type == "proxy" else error_type
    return StreamTransportException(f"{request.operation}: {what}", error_type=error_type, request_sent=sent)


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and, from the outside to the inside, those that it wraps in one way or another."""
    seen: set[int] = set()
    found = [error]
    while found:
        each = found.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        wrapped = (each.__cause__, getattr(each, "reason", None), *each.args)
        found += [other for other in wrapped if isinstance(other, BaseException)]


def _refused(where: str, error: BaseException) -> str:
    numbers = [each.errno for each in causes(error) if isinstance(each, OSError) and each.errno]
    if errno.ECONNREFUSED in numbers:
        return f"{where} refused the connection: nothing listens at this host and port"
    why = f" ({os.strerror(numbers[-1])})" if numbers else ""
    return f"no connection to {where} could be made{why}"


def _tls_reason(text: str) -> str:
    if "not yet valid" in text or "has expired" in text:
        return "its certificate is not valid at this time. Check the clock of this machine (clock skew)"
    if "doesn't match" in text or "not valid for" in text or "mismatch" in text:
        return "its certificate is for another host: check the base URL (the connection's host)"
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return (
            "its certificate is not trusted. Name authorities of your own in REQUESTS_CA_BUNDLE, "
            "SSL_CERT_FILE or SSL_CERT_DIR"
        )
    if any(reason in text for reason in _NOT_TLS):
        return (
            "it does not speak TLS at this port. The sandbox speaks plain http: begin the base URL (the "
            "connection's host) with http://, which is allowed to this machine only"
        )
    reason = re.search(r"\[SSL: (\w+)\]", text)
    return f"the handshake failed{f' ({reason[1]})' if reason else ''}"
