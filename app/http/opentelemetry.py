"""OpenTelemetry, where OTEL_EXPORTER_OTLP_ENDPOINT asks for it: a span for each request."""

import importlib.util

from fastapi.telemetry import TelemetryConfig

from models.errors import KaoError
from models.settings import Settings


def config(settings: Settings) -> TelemetryConfig:
    """FastAPI's own instrumentation; it reads the other OTEL_ variables itself.

    Metrics stay Prometheus's. Raises KaoError when the extra `otel` is not installed.
    """
    wanted = settings.otlp_endpoint is not None
    if wanted and importlib.util.find_spec("opentelemetry.exporter") is None:
        raise KaoError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but what sends traces is not installed: "
            "pip install 'kao[otel]', or unset it."
        )
    return {"auto_configure": wanted, "tracing": wanted, "metrics": False, "logs": False}
