"""Traces are sent where OTEL_EXPORTER_OTLP_ENDPOINT names a collector, and only then."""

import gzip
import http.server
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from app.http import opentelemetry
from models.errors import KaoError
from models.registry import Registry
from models.settings import Settings

Collector = tuple[str, list[Span]]


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector that records spans: (url, spans)."""
    spans: list[Span] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            if self.path == "/v1/traces":
                export = ExportTraceServiceRequest.FromString(body)
                for resource in export.resource_spans:
                    for scope in resource.scope_spans:
                        spans.extend(scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", spans
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_request_is_a_span_and_its_log_line_names_the_trace(
    collector: Collector,
    settings: Settings,
    registry: Registry,
    tmp_path: Path,
    key: dict[str, str],
) -> None:
    url, spans = collector
    port = 20_000 + os.getpid() % 20_000
    environment = {
        **os.environ,
        **settings.environment(),
        "KAO_API_KEY": str(settings.api_key),
        "KAO_PORT": str(port),
        "OTEL_EXPORTER_OTLP_ENDPOINT": url,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    log = tmp_path / "log"
    command = [sys.executable, "-m", "kao", "serve"]
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file)
    try:
        _wait_until(lambda: _answers(f"http://127.0.0.1:{port}/health/live"), process)
        httpx.post(
            f"http://127.0.0.1:{port}/models/default/promote", headers=key, trust_env=False
        ).raise_for_status()
        _wait_until(lambda: [span for span in spans if "promote" in span.name], process)
    finally:
        process.terminate()
        process.wait(30)
    lines = [json.loads(line) for line in log.read_text().splitlines() if line[:1] == "{"]
    (line,) = (line for line in lines if line["event"] == "request.answered")
    assert line["trace"] in {span.trace_id.hex() for span in spans}


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def _wait_until(condition: Callable[[], object], process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_without_a_collector_no_span_is_made(client: TestClient) -> None:
    assert client.get("/avatar?seed=1").status_code == 200
    # OpenTelemetry's provider that does nothing, until another one is set.
    assert type(trace.get_tracer_provider()).__name__ == "ProxyTracerProvider"


def test_a_collector_without_the_extra_is_an_error_that_says_what_to_install(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    settings = settings.model_copy(update={"otlp_endpoint": "http://collector:4318"})
    with pytest.raises(KaoError, match=r"kao\[otel\]"):
        opentelemetry.config(settings)
