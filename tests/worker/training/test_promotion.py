"""`promote: if_better`: what becomes the default when a run publishes."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from models import bundle
from models.bundle.generator import Drawer
from models.errors import DatasetError
from tests.worker.training.types import Attempts
from worker.datasets import lookup, packing
from worker.evaluation.served_size import ServedSize
from worker.training.run import Attempt


def card(attempt: Attempt, version: str) -> dict[str, Any]:
    return bundle.read_card(attempt.registry.folder(version))


@pytest.mark.parametrize(
    ("fd", "is_promoted"),
    [
        pytest.param(10.0, True, id="better"),
        pytest.param(44.0, False, id="lower within noise"),
        pytest.param(1e9, False, id="worse"),
    ],
)
def test_a_better_model_is_promoted_where_the_recipe_says_so(
    attempt: Attempts, pictures: Path, monkeypatch: pytest.MonkeyPatch, fd: float, is_promoted: bool
) -> None:
    def measure(self: ServedSize, drawer: Drawer, psi: float = 1.0) -> dict[str, Any]:
        return {"fd": 50.0 if drawer.card.recipe["seed"] == 0 else fd, "fd_error": 3.0, "size": 16}

    monkeypatch.setattr(ServedSize, "measure", measure)
    first = attempt(pictures)
    old = first.execute()
    second = attempt(pictures, promote="if_better", seed=1)
    new = second.execute()
    assert second.registry.aliases()["default"] == (new if is_promoted else old)
    assert card(second, new)["measures"]["served_fd"] == fd


@pytest.fixture
def later_is_better(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of a higher seed has a lower FD."""

    def measure(self: ServedSize, drawer: Drawer, psi: float = 1.0) -> dict[str, Any]:
        return {"fd": 50.0 - drawer.card.recipe["seed"], "fd_error": 0.1, "size": 16}

    monkeypatch.setattr(ServedSize, "measure", measure)


def test_a_better_model_of_the_same_set_at_another_resolution_is_promoted(
    attempt: Attempts, pictures: Path, later_is_better: None
) -> None:
    attempt(pictures, promote="always").execute()
    larger = attempt(pictures, promote="if_better", seed=1, resolution=32)
    version = larger.execute()
    assert larger.registry.aliases()["default"] == version


def test_a_model_of_other_pictures_is_not_promoted(
    attempt: Attempts, pictures: Path, later_is_better: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where their number is another, nothing is packed again to find that out."""
    first = attempt(pictures, promote="always")
    default = first.execute()
    Image.new("RGB", (24, 24), "green").save(pictures / "000.png")
    assert attempt(pictures, promote="if_better", seed=1, resolution=32).execute() != default
    assert first.registry.aliases()["default"] == default
    (pictures / "000.png").unlink()
    sides: list[int] = []
    write = packing._write

    def record(folder: Path, source: Any, contents: Any, decoding: Any, progress: Any) -> None:
        sides.append(decoding.size)
        write(folder, source, contents, decoding, progress)

    monkeypatch.setattr(packing, "_write", record)
    attempt(pictures, promote="if_better", seed=2, resolution=32).execute()
    assert first.registry.aliases()["default"] == default
    assert set(sides) == {32}


def test_a_run_whose_pictures_were_removed_publishes_without_served_measures(
    attempt: Attempts, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    default = attempt(pictures, promote="always").execute()
    run = attempt(pictures, promote="if_better", seed=1)

    def remove(*_: Any) -> None:
        raise DatasetError("the folder is not there")

    monkeypatch.setattr(lookup, "pack_served", remove)
    version = run.execute()
    assert run.registry.aliases()["default"] == default
    assert "served_fd" not in card(run, version)["measures"]


def test_a_damaged_default_keeps_no_run_from_publishing(
    attempt: Attempts, pictures: Path, later_is_better: None
) -> None:
    first = attempt(pictures, promote="always")
    default = first.execute()
    (first.registry.folder(default) / "generator.onnx").write_bytes(b"damaged")
    run = attempt(pictures, promote="if_better", seed=1)
    version = run.execute()
    assert run.registry.aliases()["default"] == default
    assert card(run, version)["measures"]["served_fd"] == 49.0
