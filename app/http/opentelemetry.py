"""OpenTelemetry: a span per request, where OTEL_EXPORTER_OTLP_ENDPOINT is set."""

import importlib.util

from fastapi.telemetry import TelemetryConfig

from models.errors import KaoError
from models.settings import Settings


def config(settings: Settings) -> TelemetryConfig:
    """The configuration of FastAPI's instrumentation, which reads the other OTEL_ variables.

    Metrics stay with Prometheus. Raises KaoError when the extra `otel` is not installed.
    """
    is_enabled = settings.otlp_endpoint is not None
    if is_enabled and importlib.util.find_spec("opentelemetry.exporter") is None:
        raise KaoError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but the exporter is not installed: "
            "pip install 'kao[otel]', or unset the variable."
        )
    return {"auto_configure": is_enabled, "tracing": is_enabled, "metrics": False, "logs": False}
