"""What the files of deployments give to each part."""

import re
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml", reason="needs PyYAML, which other tests bring along")
ROOT = Path(__file__).parents[2]


def _environments() -> dict[str, Any]:
    """The environment of each service, by file and service."""
    return {
        f"{name} {service}": fields.get("environment") or {}
        for name in ("docker-compose.yml", "docker-compose.cpu.yml")
        for service, fields in yaml.safe_load((ROOT / name).read_text())["services"].items()
    }


def test_no_worker_of_compose_gets_the_api_key() -> None:
    environments = _environments()
    assert "KAO_API_KEY" in environments["docker-compose.yml app"]
    workers = [name for name in environments if re.search(r" worker", name)]
    assert len(workers) == 3
    for name in workers:
        assert "KAO_API_KEY" not in environments[name], name


def test_no_worker_of_kubernetes_gets_the_api_key() -> None:
    folder = ROOT / "deploy" / "kubernetes"
    generators = yaml.safe_load((folder / "secrets" / "kustomization.yaml").read_text())
    with_key = {
        generator["name"]
        for generator in generators["secretGenerator"]
        if any("KAO_API_KEY" in (folder / "secrets" / env).read_text() for env in generator["envs"])
    }
    uses = {
        each["metadata"]["name"]: {
            source["secretRef"]["name"]
            for container in each["spec"]["template"]["spec"]["containers"]
            for source in container["envFrom"]
        }
        for name in ("app.yaml", "worker.yaml")
        for each in yaml.safe_load_all((folder / "base" / name).read_text())
        if each["kind"] == "Deployment"
    }
    assert uses["kao-app"] & with_key
    assert not uses["kao-worker"] & with_key
