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
    documents = list(yaml.safe_load_all((ROOT / "deploy" / "kubernetes.yaml").read_text()))
    secrets = {
        each["metadata"]["name"]: each["stringData"]
        for each in documents
        if each["kind"] == "Secret"
    }
    with_key = {name for name, data in secrets.items() if "KAO_API_KEY" in data}
    uses = {
        each["metadata"]["name"]: {
            source["secretRef"]["name"]
            for container in each["spec"]["template"]["spec"]["containers"]
            for source in container["envFrom"]
        }
        for each in documents
        if each["kind"] == "Deployment"
    }
    assert uses["kao-app"] & with_key
    assert not uses["kao-worker"] & with_key
