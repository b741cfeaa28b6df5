"""One scrape tells what this app does, and what every run does; ids tie log lines together."""

import json
import logging
import re
from pathlib import Path
from typing import Never

import pytest
import structlog
from fastapi.testclient import TestClient
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as parsed

from app.http import access_log
from models import logs, runs
from models.database.engine import connect
from models.registry import Registry
from models.settings import Settings
from tests.support.live_app import running

ROOT = Path(__file__).parents[3]


@pytest.fixture
def scrape(client: TestClient):
    """Every sample: {(name, labels as sorted pairs): value}."""

    def look():
        # A second scrape within a second would get the database's numbers from memory.
        for collector in client.app.state.telemetry._collector_to_names:
            if hasattr(collector, "_until"):
                collector._until = 0.0
        answer = client.get("/metrics")
        assert answer.status_code == 200
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in parsed(answer.text)
            for sample in family.samples
        }

    return look


def grown(before, after, name, **labels):
    key = (name, tuple(sorted(labels.items())))
    return after.get(key, 0) - before.get(key, 0)


def test_a_face_is_counted_once_as_drawn_and_then_as_a_hit(client: TestClient, scrape) -> None:
    before = scrape()
    for _ in range(3):
        assert client.get("/avatar?seed=1").status_code == 200
    after = scrape()
    assert grown(before, after, "kao_cache_misses_total") == 1
    assert grown(before, after, "kao_cache_hits_total") == 2
    assert grown(before, after, "kao_draw_queue_seconds_count") == 1
    assert grown(before, after, "kao_draw_compute_seconds_count") == 1
    assert grown(before, after, "kao_draw_batch_size_sum") == 1
    assert grown(before, after, "kao_requests_total", route="/avatar", status="200") == 1
    assert grown(before, after, "kao_requests_total", route="shortcut", status="200") == 2
    assert after["kao_cache_bytes", ()] > 0


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
    client: TestClient, scrape, path, problem, route
) -> None:
    before = scrape()
    status = client.get(path).status_code
    after = scrape()
    assert grown(before, after, "kao_refusals_total", problem=problem) == 1
    assert grown(before, after, "kao_requests_total", route=route, status=str(status)) == 1


def test_what_clients_invent_becomes_no_label(client: TestClient) -> None:
    client.get("/avatar/secret-name.png")
    client.get("/secret-place?seed=secret-seed", headers={"X-Request-ID": "secret-id"})
    assert "secret" not in client.get("/metrics").text


def test_keys_are_in_no_metric(client: TestClient, key: dict[str, str]) -> None:
    assert client.get("/train", headers=key).status_code == 200
    assert key["Authorization"].split()[1] not in client.get("/metrics").text


def test_runs_are_told_by_state_and_those_that_train_by_their_losses(
    client: TestClient, scrape, begin
) -> None:
    begin("queued")
    begin("succeeded")
    run, fence = begin("running")
    engine = client.app.state.services.database
    told = {"images": 640, "images_per_second": 48.5, "d_loss": 1.25, "g_loss": 0.5, "d_real": 2.0}
    runs.record(engine, run, fence, "run.progress", told, progress=True)
    now = scrape()
    states = {state: now["kao_runs", (("state", state),)] for state in runs.STATES}
    assert states == {"queued": 1, "running": 1, "succeeded": 1, "failed": 0, "cancelled": 0}
    assert now["kao_run_images_per_second", (("run", run),)] == 48.5
    assert now["kao_run_loss", (("loss", "d"), ("run", run))] == 1.25
    assert now["kao_run_loss", (("loss", "g"), ("run", run))] == 0.5
    runs.finish(engine, run, fence, "fail", error="planted")
    assert not [key for key in scrape() if key[0].startswith("kao_run_")]


def test_a_swap_and_a_refused_bundle_are_told(
    client: TestClient,
    scrape,
    registry: Registry,
    versions: list[str],
    damaged,
    key: dict[str, str],
) -> None:
    before = scrape()
    assert client.post(f"/models/{versions[1]}/promote", headers=key).status_code == 200
    bad = damaged(registry)
    client.portal.call(client.app.state.services.engine.refresh)
    after = scrape()
    assert grown(before, after, "kao_swaps_total") == 1
    assert grown(before, after, "kao_bundles_refused_total") == 1
    assert after["kao_alias_version", (("alias", "default"), ("version", versions[1][:12]))] == 1
    assert (after["kao_ready", ()], after["kao_degraded", ()]) == (1, 1)
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert ready.json()["version"] == versions[1]
    assert bad in ready.json()["refused"]
    assert "'default' names a refused model" in ready.json()["ills"][0]


def test_without_its_database_an_app_tells_the_rest(
    client: TestClient, scrape, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = connect(settings.model_copy(update={"database_url": "sqlite:////nowhere/kao.db"}))
    for collector in client.app.state.telemetry._collector_to_names:
        if hasattr(collector, "database"):
            monkeypatch.setattr(collector, "database", gone)
    now = scrape()
    assert now["kao_database_up", ()] == 0
    assert now["kao_ready", ()] == 1


def test_openmetrics_where_it_is_asked_for(client: TestClient) -> None:
    answer = client.get("/metrics", headers={"Accept": "application/openmetrics-text"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert list(openmetrics(answer.text))


@pytest.mark.parametrize(
    ("sent", "back"),
    [
        pytest.param("abc-1.2_3", True, id="good"),
        pytest.param("a" * 65, False, id="long"),
        pytest.param('x"y', False, id="quotes"),
    ],
)
def test_a_request_id_that_is_fit_for_a_log_goes_back(client: TestClient, sent, back) -> None:
    for path in ("/avatar?seed=1", "/avatar?seed=1", "/health/live", "/nowhere"):
        answer = client.get(path, headers={"X-Request-ID": sent})
        assert (answer.headers.get("x-request-id") == sent) is back
    assert "x-request-id" not in client.get("/avatar?seed=1").headers, "kept with the answer"


def test_a_failure_of_ours_has_an_id_to_report(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_) -> Never:
        raise RuntimeError("planted")

    monkeypatch.setattr(client.app.state.services.engine, "resolve", broken)
    with structlog.testing.capture_logs() as lines:
        assert client.get("/avatar?seed=77").status_code == 500
    assert [line["event"] for line in lines] == ["request.failed"]


def test_changes_are_logged_with_who_asked_and_reads_are_not(
    client: TestClient, key: dict[str, str]
) -> None:
    with structlog.testing.capture_logs() as lines:
        client.get("/train", headers=key)
        client.post("/models/nobody/promote", headers=key)
    told = [line for line in lines if line["event"] == "request.answered"]
    assert [(line["method"], line["path"], line["status"]) for line in told] == [
        ("POST", "/models/nobody/promote", 404)
    ]
    assert told[0]["key"]
    assert key["Authorization"].split()[1] not in json.dumps(lines)


def test_every_line_within_a_request_has_its_id(
    settings: Settings,
    http,
    registry: Registry,
    key: dict[str, str],
    capfd: pytest.CaptureFixture[str],
) -> None:
    logs.configure()
    try:
        # Read once, when all is written: a line written while pytest empties its file is lost.
        with running(settings) as live:
            headers = {**key, "X-Request-ID": "the-id"}
            asked = http.post(f"{live.url}/train", headers=headers, json={"preset": "smoke"})
    finally:
        structlog.reset_defaults()
        logging.getLogger().handlers.clear()  # they write where this test's stderr was
    said = capfd.readouterr().err
    lines = [json.loads(line) for line in said.splitlines() if line[:1] == "{"]
    told = {line["event"]: line for line in lines if line.get("request") == "the-id"}
    assert {"run.asked", "request.answered"} <= set(told)
    assert told["run.asked"]["run"] == asked.json()["id"]


def test_every_metric_of_the_dashboard_exists(client: TestClient, scrape, begin) -> None:
    run, fence = begin("running")
    told = {"images": 1, "images_per_second": 1.0, "fraction": 0.5, "seconds_left": 1, "d_loss": 1}
    engine = client.app.state.services.database
    runs.record(engine, run, fence, "run.progress", told, progress=True)
    client.get("/avatar?seed=1")
    client.get("/avatar?size=0")
    names = {name for name, _ in scrape()}
    dashboard = json.loads((ROOT / "deploy" / "grafana" / "kao.json").read_text())
    queries = [t["expr"] for panel in dashboard["panels"] for t in panel.get("targets", [])]
    used = {name for query in queries for name in re.findall(r"\b(?:kao|process)_\w+", query)}
    assert len(used) > 15
    assert used <= names
    families = {re.sub("_(bucket|sum|count)$", "", name) for name in used if name[:4] == "kao_"}
    assert not [name for name in families if f"`{name}" not in DOCS]


DOCS = (ROOT / "docs" / "operations.md").read_text()


def test_counting_a_request_costs_little_of_a_remembered_face(client: TestClient) -> None:
    """Ten microseconds would be a tenth of one (docs/performance.md); it takes about three."""
    import timeit

    scope = {"type": "http", "method": "GET", "path": "/avatar", "headers": []}
    access_log._count(scope, 200, 0.001)
    best = min(timeit.repeat(lambda: access_log._count(scope, 200, 0.001), number=2000, repeat=5))
    assert best / 2000 < 50e-6
