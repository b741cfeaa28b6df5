"""A queue that accepts no writes: training is refused clearly, and no run is stored."""

import pytest
import redis
import sqlalchemy as sa
from fastapi.testclient import TestClient

from models import runs
from models.registry import Registry
from tests.support.fixtures import Begin

SMOKE = {"preset": "smoke"}
FAULTS = {
    "memory-full": {"maxmemory": "1"},
    "replica": {"replicaof": "127.0.0.1 1"},  # of a primary that does not exist
    "too-few-replicas": {"min-replicas-to-write": "1"},
}


def _break(queue: redis.Redis, fault: dict[str, str]) -> None:
    for name, value in fault.items():
        if name == "replicaof":
            queue.replicaof(*value.split())
        else:
            queue.config_set(name, value)


def _repair(queue: redis.Redis) -> None:
    queue.replicaof("NO", "ONE")
    queue.config_set("maxmemory", "0")
    queue.config_set("min-replicas-to-write", "0")


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_training_is_refused_clearly_and_the_same_request_succeeds_later(
    client: TestClient,
    key: dict[str, str],
    registry: Registry,
    queue: redis.Redis,
    fault: dict[str, str],
) -> None:
    headers = {**key, "Idempotency-Key": "once"}
    _break(queue, fault)
    answer = client.post("/train", json=SMOKE, headers=headers)
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) > 1
    problem = answer.json()
    assert problem["type"] == "urn:kao:problem:queue-refuses"
    assert "REDIS_URL" in problem["detail"]
    assert runs.list_runs(registry.engine) == []
    _repair(queue)
    answer = client.post("/train", json=SMOKE, headers=headers)
    assert answer.status_code == 202
    assert [row["id"] for row in runs.list_runs(registry.engine)] == [answer.json()["id"]]
    assert queue.llen("train") == 1, "one message, and none of the check's own"


def test_a_run_is_not_resumed_while_the_queue_takes_no_writes(
    client: TestClient, key: dict[str, str], begin: Begin, engine: sa.Engine, queue: redis.Redis
) -> None:
    run, _ = begin("failed")
    _break(queue, FAULTS["memory-full"])
    assert client.post(f"/train/{run}/resume", headers=key).status_code == 503
    assert runs.get(engine, run)["state"] == "failed"
    _repair(queue)
    assert client.post(f"/train/{run}/resume", headers=key).status_code == 202


def test_an_invalid_recipe_is_refused_before_the_queue_is_checked(
    client: TestClient, key: dict[str, str], queue: redis.Redis
) -> None:
    _break(queue, FAULTS["memory-full"])
    assert client.post("/train", json={"preset": "none"}, headers=key).status_code == 422
