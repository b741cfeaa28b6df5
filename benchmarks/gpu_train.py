"""Train on a rented GPU until a deadline by the clock, and go on at home.

    python benchmarks/gpu_train.py train --seconds 540 --out gpu-run [--from PATH]
    python benchmarks/gpu_train.py import gpu-run          # at home; then `kao train --resume RUN`

`train` needs the repository, torch and what `benchmarks/gpu_packages.py` collects; no network and
no KAO_HOME. It renders the starter set, or reads a packed one, trains the recipe, and saves the
averaged weights every minute. In the end it writes the run's snapshot in parts of at most 15 MiB,
so that they pass through a narrow door. `import` joins them and adds the run to a KAO_HOME as a
cancelled one.
"""

import argparse
import copy
import hashlib
import io
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from models.errors import KaoError
from models.recipes.recipe import Recipe, resolve
from worker.datasets import held_out
from worker.hardware import devices
from worker.training import label_extension, memory
from worker.training.batches import Reals
from worker.training.loss_log import Losses
from worker.training.trainer import Trainer

PART = 15 * 2**20  # bytes of a file that comes back
RECIPE, PROGRESS, AVERAGE, SNAPSHOT = "recipe.json", "losses.jsonl", "average.safetensors", "part"
SAVE_SECONDS = 60.0
REPORT_SECONDS = 5.0
ENDING_SECONDS = 20.0  # for the snapshot, at most a fifth of the whole


@dataclass(frozen=True)
class Pictures:
    """A packed set: (N, S, S, 3) uint8, names, labels, and the digest of its pixels."""

    images: NDArray[np.uint8]
    names: list[str]
    labels: dict[str, dict[str, list[Any]]]
    fingerprint: str


def main() -> None:
    """Train, or import what was trained."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    train_parser = commands.add_parser("train")
    train_parser.set_defaults(run=train)
    train_parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    train_parser.add_argument("--seconds", type=float, default=540, help="all in all")
    train_parser.add_argument("--preset", help="default: ten-minutes-gpu; on a CPU smoke")
    train_parser.add_argument("--set", action="append", default=[], metavar="FIELD=JSON")
    train_parser.add_argument(
        "--pictures", type=int, help="of the starter set; default: 20,000, on a CPU 64"
    )
    train_parser.add_argument("--packed", type=Path, help="a folder of Kao's cache, instead")
    train_parser.add_argument("--from", dest="source", type=Path, help="a snapshot or a bundle")
    train_parser.add_argument("--out", type=Path, default=Path("gpu-run"))
    import_parser = commands.add_parser("import")
    import_parser.set_defaults(run=import_run)
    import_parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    try:
        options.run(options)
    except KaoError as error:
        sys.exit(str(error))


def train(options: argparse.Namespace) -> None:
    """Prepare, train to the deadline, and write everything to the folder."""
    start = time.monotonic()
    options.out.mkdir(parents=True, exist_ok=True)
    device = devices.own() if options.device == "cuda" else torch.device("cpu")
    if device.type != options.device:
        raise SystemExit("There is no usable GPU; `--device cpu` runs the same in small.")
    recipe = _recipe(options)
    pictures = read_packed(options.packed) if options.packed else render_starter(recipe)
    trainer = _trainer(options, recipe, pictures, device)
    (options.out / RECIPE).write_text(recipe.model_dump_json(indent=1))
    training_start = time.monotonic()
    prepared = f"{len(pictures.images):,} pictures after {training_start - start:.1f} s"
    print(f"{prepared}, {devices.name(device)}")
    deadline = start + options.seconds - min(ENDING_SECONDS, options.seconds / 5)
    train_until(trainer, deadline, options.out)
    seconds = time.monotonic() - training_start
    write_snapshot(trainer, pictures.fingerprint, seconds, options.out)
    total = time.monotonic() - start
    print(f"{trainer.images:,} images, {trainer.step:,} steps, all in {total:.1f} s")


def _trainer(
    options: argparse.Namespace, recipe: Recipe, pictures: Pictures, device: torch.device
) -> Trainer:
    """A trainer that fits into the device's memory, at the start or where `--from` goes on."""
    places = held_out.training_places(pictures.names, recipe.held_out)
    reals = Reals(pictures.images, recipe, device, labels=pictures.labels, places=places)
    trainer = Trainer(recipe, reals, device, devices.uses_bf16(recipe, device))
    if (estimate := memory.check(trainer)) is not None:
        print(f"needs about {estimate} of memory")
    if options.source is not None:
        start_from(trainer, options.source)
    return trainer


def _recipe(options: argparse.Namespace) -> Recipe:
    """The recipe, ending by the clock: `minutes` are the seconds that training has."""
    default_preset, pictures = (
        ("smoke", 64) if options.device == "cpu" else ("ten-minutes-gpu", 20_000)
    )
    fields: dict[str, Any] = {
        "preset": options.preset or default_preset,
        "minutes": options.seconds / 60,
    }
    if options.packed is None:
        fields["dataset_limit"] = options.pictures or pictures
    for text in options.set:
        name, _, value = text.partition("=")
        fields[name] = json.loads(value)
    return resolve(fields)


def render_starter(recipe: Recipe) -> Pictures:
    """Render the starter set on all cores, as `kao train` packs it."""
    from worker.datasets import starter, starter_attributes

    count = recipe.dataset_limit or 2
    images = np.stack(list(starter.render_all(count, recipe.resolution)))
    labels: Any = starter_attributes.labels(count)["attributes"]
    names = [f"{index:06}" for index in range(count)]
    return Pictures(images, names, labels, hashlib.sha256(images.tobytes()).hexdigest())


def read_packed(folder: Path) -> Pictures:
    """Read a packed set; nothing but NumPy is needed."""
    images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
    names = json.loads((folder / "names.json").read_text())
    labels_path = folder / "labels.json"
    labels = json.loads(labels_path.read_text())["attributes"] if labels_path.exists() else {}
    fingerprint = json.loads((folder / "manifest.json").read_text())["fingerprint"]
    return Pictures(images, names, labels, fingerprint)


def start_from(trainer: Trainer, path: Path) -> None:
    """Go on from a snapshot (its discriminator included), or from a bundle's generator."""
    if path.is_dir():
        card = json.loads((path / "card.json").read_text())
        label_extension.check_values(trainer.labels, card["attributes"], f"Model {path.name[:12]}")
        trainer.take_generator(load_file(path / "generator.safetensors"))
        trainer.begin(card["training"]["images"], parent=path.name)
        return
    snapshot = torch.load(path, map_location="cpu", weights_only=True)
    label_extension.check_values(trainer.labels, snapshot.get("labels", []), path.name)
    state = trainer.with_own_intervals(snapshot["trainer"])
    trainer.generator.load_state_dict(state["generator"])
    trainer.average.load_state_dict(state["average"])
    # Of another width it is left out, and a new one learns.
    count = trainer.take_discriminator(state["discriminator"], state["heads"] or {})
    images = state["before"] + state["step"] * trainer.recipe.batch
    trainer.begin(images, images, path.stem)
    print(f"{count} tensors of the discriminator are taken over")


def train_until(trainer: Trainer, deadline: float, folder: Path) -> None:
    """Train until `deadline` of the monotonic clock, one step at least.

    Logs losses, and saves the average every minute.
    """
    now = start = last_save = last_report = time.monotonic()
    first = trainer.images
    with (folder / PROGRESS).open("a", buffering=1) as log:
        while now < deadline or trainer.images == first:
            losses = trainer.train(min(1.0, (now - start) / max(deadline - start, 1e-6)))
            now = time.monotonic()
            if now - last_report >= REPORT_SECONDS:
                losses += trainer.losses.read()
                rate = (trainer.images - first) / (time.monotonic() - start)
                _report(trainer, losses, rate, log)
                last_report = now
            if now - last_save >= SAVE_SECONDS:
                save_average(trainer, folder)
                last_save = now
    if trainer.execution.failure is not None:
        print(f"without CUDA graphs: {trainer.execution.failure}")
    save_average(trainer, folder)


def _report(trainer: Trainer, losses: list[Losses], rate: float, log: io.TextIOBase) -> None:
    if not losses:
        return
    row = {"images": trainer.images, "images_per_second": round(rate, 1), **losses[-1]}
    log.write(json.dumps(row) + "\n")
    print(json.dumps({name: round(value, 4) for name, value in row.items()}), flush=True)


def save_average(trainer: Trainer, folder: Path) -> None:
    """Write the averaged generator's weights."""
    weights = trainer.average.state_dict()
    tensors = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    temporary = folder / f".{AVERAGE}"
    save_file(tensors, temporary)
    temporary.replace(folder / AVERAGE)


def write_snapshot(trainer: Trainer, fingerprint: str, seconds: float, folder: Path) -> None:
    """Write the state as a run's snapshot has it, in parts; Adam's moments in bf16."""
    # A copy: the optimisers' own tensors stay as they are.
    state = copy.deepcopy(trainer.state())
    for optimizer in state["optimizers"].values():
        for moments in optimizer["state"].values():
            for name in ("exp_avg", "exp_avg_sq"):
                moments[name] = moments[name].to(torch.bfloat16)
    buffer = io.BytesIO()
    snapshot = {"trainer": state, "labels": trainer.labels, "seconds": seconds}
    torch.save({**snapshot, "fingerprint": fingerprint}, buffer)
    content = buffer.getvalue()
    for old in folder.glob(f"{SNAPSHOT}.*"):
        old.unlink()
    for number, start in enumerate(range(0, len(content), PART)):
        (folder / f"{SNAPSHOT}.{number}").write_bytes(content[start : start + PART])


def read_snapshot(folder: Path) -> dict[str, Any]:
    """Join the parts; Adam's moments are float32 again."""
    parts = sorted(folder.glob(f"{SNAPSHOT}.*"), key=lambda path: int(path.suffix[1:]))
    content = b"".join(path.read_bytes() for path in parts)
    state: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    for optimizer in state["trainer"]["optimizers"].values():
        for moments in optimizer["state"].values():
            for name in ("exp_avg", "exp_avg_sq"):
                moments[name] = moments[name].float()
    return state


def import_run(options: argparse.Namespace) -> None:
    """Add the run to the home as a cancelled one, which `kao train --resume` ends and publishes."""
    from models import bootstrap, runs
    from models.settings import Settings
    from models.storage import layout
    from worker.training import snapshots

    settings = Settings()
    engine = bootstrap.prepare(settings)
    recipe = Recipe.model_validate_json((options.folder / RECIPE).read_text())
    state = read_snapshot(options.folder)
    # The end that was reached is the run's end: resuming publishes, and does not train on.
    state["seconds"] = max(state["seconds"], (recipe.minutes or 0) * 60)
    row, _ = runs.create(engine, recipe, {"preset": recipe.preset})
    claim = runs.claim(engine, row["id"])
    assert claim is not None
    run, fence = row["id"], claim[1]
    folder = settings.storage / layout.snapshots(run)
    name = snapshots.write(folder, state["trainer"]["step"], state)
    settings.blobs.put(folder / name)
    runs.snapshot(engine, run, fence, name, {"iteration": state["trainer"]["step"]})
    runs.finish(engine, run, fence, "cancel")
    print(f"kao train --resume {run}")


if __name__ == "__main__":
    main()
