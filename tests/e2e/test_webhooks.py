"""A worker of `kao up` delivers the events of a run to a webhook."""

import json
from collections.abc import Iterator

import pytest

from tests.support.fixtures import StartUp
from tests.support.receiver import Receiver

pytestmark = pytest.mark.slow


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def test_the_worker_posts_how_a_run_ends(start_up: StartUp, receiver: Receiver) -> None:
    up = start_up(KAO_WEBHOOKS_PRIVATE="true")
    answer = up.client.post("/webhooks", json={"url": receiver.url}, headers=up.key)
    assert answer.status_code == 201, answer.text
    run = up.train(preset="smoke", images=10**6)
    assert up.client.post(f"{run}/cancel", headers=up.key).is_success

    def types() -> set[str]:
        return {json.loads(body)["type"] for _, body in receiver.requests}

    up.wait(lambda: {"run.queued", "run.cancelled"} <= types(), 120, "both are delivered")
