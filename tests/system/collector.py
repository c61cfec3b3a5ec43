"""An OpenTelemetry collector that keeps what Airflow exports (OTLP over HTTP)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass
class Span:
    name: str
    id: bytes
    parent: bytes
    seconds: float
    attributes: dict[str, Any]


@dataclass
class Collector:
    """
    What was exported so far.

    :param port: where it listens
    """

    port: int
    spans: list[Span] = field(default_factory=list)

    @property
    def env(self) -> dict[str, str]:
        """The environment in which Airflow exports to it, soon after each span."""
        return {
            "AIRFLOW__TRACES__OTEL_ON": "True",
            "OTEL_TRACES_EXPORTER": "otlp_proto_http",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"http://127.0.0.1:{self.port}/v1/traces",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }

    def named(self, name: str, attribute: str, value: Any) -> list[Span]:
        """Return the spans of a name with an attribute."""
        return [span for span in self.spans if (span.name, span.attributes.get(attribute)) == (name, value)]

    def parents(self, span: Span) -> list[Span]:
        """Return the span that another one belongs to, as soon as it was exported."""
        return [each for each in self.spans if each.id == span.parent]


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.spans.extend(_spans(ExportTraceServiceRequest.FromString(body)))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector = Collector(server.server_port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()


def _spans(request: ExportTraceServiceRequest) -> Iterator[Span]:
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Span(
                    span.name,
                    span.span_id,
                    span.parent_span_id,
                    (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
                    {each.key: _value(each.value) for each in span.attributes},
                )


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return tuple(map(_value, value.array_value.values))
    return getattr(value, kind)
