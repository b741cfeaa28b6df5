"""docker-bake.hcl, the Dockerfile and the manifests name the same images."""

import re
from pathlib import Path
from typing import Any

import hcl2
import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
OPTIONS = hcl2.SerializationOptions(strip_string_quotes=True, explicit_blocks=False)
BAKE: dict[str, Any] = hcl2.loads(
    (ROOT / "docker-bake.hcl").read_text(), serialization_options=OPTIONS
)
TARGETS = {name: body for block in BAKE["target"] for name, body in block.items()}
IMAGES = [name for name in TARGETS if name != "common"]


def test_every_target_is_a_stage_for_both_machines() -> None:
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE))
    assert {TARGETS[name]["target"] for name in IMAGES} == stages - {"base", "training"}
    assert TARGETS["common"]["platforms"] == ["linux/amd64", "linux/arm64"]
    assert TARGETS["common"]["attest"] == ["type=sbom", "type=provenance,mode=max"]
    for name in IMAGES:
        assert TARGETS[name]["inherits"] == ["common"]


def test_every_argument_is_one_of_the_dockerfile() -> None:
    declared_names = set(re.findall(r"^ARG (\w+)", DOCKERFILE, re.MULTILINE))
    arguments = {name for body in TARGETS.values() for name in body.get("args", {})}
    assert arguments == declared_names


def test_a_group_names_targets() -> None:
    groups = {name: body["targets"] for block in BAKE["group"] for name, body in block.items()}
    assert sorted(groups["all"]) == sorted(IMAGES)
    assert set(groups["default"]) < set(groups["all"])


@pytest.mark.parametrize("stage", ["web", "worker", "kao"])
def test_an_image_is_labelled(stage: str) -> None:
    texts = [
        DOCKERFILE.partition(f" AS {name}\n")[2].partition("\nFROM ")[0] for name in ("base", stage)
    ]
    labels = set(re.findall(r"org\.opencontainers\.image\.([\w.]+)=", "".join(texts)))
    names = {"title", "description", "licenses", "base.name", "version", "revision", "created"}
    assert labels == names


def test_what_is_copied_is_sent_to_the_builder() -> None:
    """.dockerignore excludes everything but what it names."""
    first_line, *lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert first_line == "*"
    context = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copies = re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.MULTILINE)
    assert {path for sources in copies for path in sources.split()} <= context
    assert all((ROOT / path).exists() for path in context)


def test_kubernetes_names_images_that_are_built() -> None:
    tags = {TARGETS[name]["tags"][0].partition("}")[2].partition(":")[0] for name in IMAGES}
    names = set()
    for file in (ROOT / "deploy" / "kubernetes" / "overlays").glob("*/kustomization.yaml"):
        names |= set(re.findall(r"newName: registry\.example/([\w-]+)", file.read_text()))
    assert names <= tags
    assert len(names) == 3
