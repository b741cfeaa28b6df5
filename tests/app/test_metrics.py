"""Metrics of the app and of all runs, and request ids in log lines."""

import json
import logging
import re
import timeit
from collections.abc import Callable
from pathlib import Path
from typing import Any, Never

import httpx
import pytest
import structlog
import yaml
from fastapi.testclient import TestClient
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from app.http import access_log
from models import logs, runs
from models.database.engine import connect
from models.registry import Registry
from models.settings import Settings
from tests.app.conftest import Damage
from tests.support.app_client import app_of, state_of
from tests.support.fixtures import Begin
from tests.support.live_app import running

ROOT = Path(__file__).parents[2]
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]  # by name and sorted labels
Scrape = Callable[[], Samples]


@pytest.fixture
def scrape(client: TestClient) -> Scrape:
    """Read every sample of `/metrics`."""

    def read() -> Samples:
        # A second scrape within a second would get the database's numbers from memory.
        for collector in app_of(client).state.telemetry._collector_to_names:
            if hasattr(collector, "_fresh_until"):
                collector._fresh_until = 0.0
        answer = client.get("/metrics")
        assert answer.status_code == 200
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in parse_text(answer.text)
            for sample in family.samples
        }

    return read


def _difference(before: Samples, after: Samples, name: str, **labels: str) -> float:
    key = (name, tuple(sorted(labels.items())))
    return after.get(key, 0) - before.get(key, 0)


def test_a_face_is_counted_once_as_drawn_and_then_as_a_hit(
    client: TestClient, scrape: Scrape
) -> None:
    before = scrape()
    for _ in range(3):
        assert client.get("/avatar?seed=1").status_code == 200
    after = scrape()
    assert _difference(before, after, "kao_cache_misses_total") == 1
    assert _difference(before, after, "kao_cache_hits_total") == 2
    assert _difference(before, after, "kao_draw_queue_seconds_count") == 1
    assert _difference(before, after, "kao_draw_compute_seconds_count") == 1
    assert _difference(before, after, "kao_draw_batch_size_sum") == 1
    assert _difference(before, after, "kao_requests_total", route="/avatar", status="200") == 1
    assert _difference(before, after, "kao_requests_total", route="shortcut", status="200") == 2
    assert after["kao_cache_bytes", ()] > 0


def test_head_is_counted_under_its_route(client: TestClient, scrape: Scrape) -> None:
    before = scrape()
    assert client.head("/avatar?seed=of-nobody-else").status_code == 200
    assert client.head("/docs").status_code == 200
    after = scrape()
    for route in ("/avatar", "/docs"):
        assert _difference(before, after, "kao_requests_total", route=route, status="200") == 1


@pytest.mark.parametrize(
    ("path", "problem", "route"),
    [
        pytest.param("/avatar?size=0", "invalid-parameter", "/avatar", id="parameter"),
        pytest.param("/avatar?model=nobody", "unknown-model", "/avatar", id="model"),
        pytest.param("/train", "unauthorised", "/train", id="key"),
        pytest.param("/nowhere/at/all", "not-found", "none", id="address"),
    ],
)
def test_a_refusal_is_counted_by_its_problem(
    client: TestClient, scrape: Scrape, path: str, problem: str, route: str
) -> None:
    before = scrape()
    status = client.get(path).status_code
    after = scrape()
    assert _difference(before, after, "kao_refusals_total", problem=problem) == 1
    assert _difference(before, after, "kao_requests_total", route=route, status=str(status)) == 1


def test_paths_and_ids_of_clients_are_not_labels(client: TestClient) -> None:
    client.get("/avatar/secret-name.png")
    client.get("/secret-place?seed=secret-seed", headers={"X-Request-ID": "secret-id"})
    assert "secret" not in client.get("/metrics").text


def test_keys_are_in_no_metric(client: TestClient, key: dict[str, str]) -> None:
    assert client.get("/train", headers=key).status_code == 200
    assert key["Authorization"].split()[1] not in client.get("/metrics").text


def test_runs_are_counted_by_state_and_running_ones_export_their_losses(
    client: TestClient, scrape: Scrape, begin: Begin
) -> None:
    begin("queued")
    begin("succeeded")
    run, fence = begin("running")
    engine = state_of(client).database
    progress = {
        "images": 640,
        "images_per_second": 48.5,
        "d_loss": 1.25,
        "g_loss": 0.5,
        "d_real": 2,
    }
    runs.record(engine, run, fence, "run.progress", progress, progress=True)
    now = scrape()
    states = {state: now["kao_runs", (("state", state),)] for state in runs.STATES}
    assert states == {"queued": 1, "running": 1, "succeeded": 1, "failed": 0, "cancelled": 0}
    assert now["kao_run_images_per_second", (("run", run),)] == 48.5
    assert now["kao_run_loss", (("loss", "d"), ("run", run))] == 1.25
    assert now["kao_run_loss", (("loss", "g"), ("run", run))] == 0.5
    runs.finish(engine, run, fence, "fail", error="planted")
    assert not [labels for _, labels in scrape() if ("run", run) in labels]


def test_swaps_and_refused_bundles_are_counted(
    client: TestClient,
    scrape: Scrape,
    registry: Registry,
    versions: list[str],
    damage_bundle: Damage,
    key: dict[str, str],
) -> None:
    before = scrape()
    assert client.post(f"/models/{versions[1]}/promote", headers=key).status_code == 200
    bad = damage_bundle(registry)
    assert client.portal is not None
    client.portal.call(state_of(client).engine.refresh)
    after = scrape()
    assert _difference(before, after, "kao_swaps_total") == 1
    assert _difference(before, after, "kao_bundles_refused_total") == 1
    assert after["kao_alias_version", (("alias", "default"), ("version", versions[1][:12]))] == 1
    assert (after["kao_ready", ()], after["kao_degraded", ()]) == (1, 1)
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert ready.json()["version"] == versions[1]
    assert bad in ready.json()["refused"]
    assert "'default' names a refused model" in ready.json()["problems"][0]


def test_without_its_database_an_app_exports_the_rest(
    client: TestClient, scrape: Scrape, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = connect(settings.model_copy(update={"database_url": "sqlite:////nowhere/kao.db"}))
    for collector in app_of(client).state.telemetry._collector_to_names:
        if hasattr(collector, "database"):
            monkeypatch.setattr(collector, "database", database)
    now = scrape()
    assert now["kao_database_up", ()] == 0
    assert now["kao_ready", ()] == 1


def test_openmetrics_where_the_client_accepts_it(client: TestClient) -> None:
    answer = client.get("/metrics", headers={"Accept": "application/openmetrics-text"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert list(openmetrics(answer.text))  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("header", "is_valid"),
    [
        pytest.param("abc-1.2_3", True, id="good"),
        pytest.param("a" * 65, False, id="long"),
        pytest.param('x"y', False, id="quotes"),
    ],
)
def test_a_valid_request_id_is_returned(client: TestClient, header: str, is_valid: bool) -> None:
    for path in ("/avatar?seed=1", "/avatar?seed=1", "/health/live", "/nowhere"):
        answer = client.get(path, headers={"X-Request-ID": header})
        assert (answer.headers.get("x-request-id") == header) is is_valid
    assert "x-request-id" not in client.get("/avatar?seed=1").headers, "kept with the answer"


def test_a_defect_is_logged_once(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> Never:
        raise RuntimeError("planted")

    monkeypatch.setattr(state_of(client).engine, "resolve", broken)
    with structlog.testing.capture_logs() as lines:
        assert client.get("/avatar?seed=77").status_code == 500
    assert [line["event"] for line in lines] == ["request.failed"]


def test_changes_are_logged_with_the_key_and_reads_are_not(
    client: TestClient, key: dict[str, str]
) -> None:
    with structlog.testing.capture_logs() as lines:
        client.get("/train", headers=key)
        client.post("/models/nobody/promote", headers=key)
    answers = [line for line in lines if line["event"] == "request.answered"]
    assert [(line["method"], line["path"], line["status"]) for line in answers] == [
        ("POST", "/models/nobody/promote", 404)
    ]
    assert answers[0]["key"]
    assert key["Authorization"].split()[1] not in json.dumps(lines)


def test_every_line_within_a_request_has_its_id(
    settings: Settings,
    http: httpx.Client,
    registry: Registry,
    key: dict[str, str],
    capfd: pytest.CaptureFixture[str],
) -> None:
    logs.configure()
    try:
        # Read once, when all is written: a line written while pytest empties its file is lost.
        with running(settings) as live:
            headers = {**key, "X-Request-ID": "the-id"}
            answer = http.post(f"{live.url}/train", headers=headers, json={"preset": "smoke"})
    finally:
        structlog.reset_defaults()
        logging.getLogger().handlers.clear()  # they write where this test's stderr was
    output = capfd.readouterr().err
    lines = [json.loads(line) for line in output.splitlines() if line[:1] == "{"]
    events = {line["event"]: line for line in lines if line.get("request") == "the-id"}
    assert {"run.requested", "request.answered"} <= set(events)
    assert events["run.requested"]["run"] == answer.json()["id"]


def test_every_metric_of_the_dashboard_and_the_alerts_exists(
    client: TestClient, scrape: Scrape, begin: Begin
) -> None:
    run, fence = begin("running")
    progress = {"images": 1, "images_per_second": 1.0, "fraction": 0.5, "seconds_left": 1}
    progress["d_loss"] = 1
    engine = state_of(client).database
    runs.record(engine, run, fence, "run.progress", progress, progress=True)
    client.get("/avatar?seed=1")
    client.get("/avatar?size=0")
    names = {name for name, _ in scrape()}
    dashboard = json.loads((ROOT / "deploy" / "grafana" / "kao.json").read_text())
    queries = [t["expr"] for panel in dashboard["panels"] for t in panel.get("targets", [])]
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yaml").read_text())
    queries += [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    metrics = {name for query in queries for name in re.findall(r"\b(?:kao|process)_\w+", query)}
    assert len(metrics) > 15
    assert metrics <= names
    families = {re.sub("_(bucket|sum|count)$", "", name) for name in metrics if name[:4] == "kao_"}
    assert not [name for name in families if f"`{name}" not in DOCS]


DOCS = (ROOT / "docs" / "operations.md").read_text()


@pytest.mark.slow
def test_counting_a_request_costs_little_of_a_face_from_memory(client: TestClient) -> None:
    """Ten microseconds would be a tenth of one (docs/performance.md); it takes about three."""
    scope = {"type": "http", "method": "GET", "path": "/avatar", "headers": []}
    access_log._record(scope, 200, 0.001)
    best = min(timeit.repeat(lambda: access_log._record(scope, 200, 0.001), number=2000, repeat=5))
    assert best / 2000 < 50e-6
