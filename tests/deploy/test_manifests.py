"""What `deploy/` and the compose files hold is valid, confined, and what docs/deploy.md says."""

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).parents[2]
MANIFESTS = list(yaml.safe_load_all((ROOT / "deploy" / "kubernetes.yaml").read_text()))
PODS = [manifest for manifest in MANIFESTS if manifest["kind"] == "Deployment"]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
CPU = yaml.safe_load((ROOT / "docker-compose.cpu.yml").read_text())


def label(manifest: dict[str, Any]) -> str:
    return f"{manifest['kind']}-{manifest['metadata']['name']}"


@pytest.mark.parametrize("manifest", MANIFESTS, ids=label)
def test_a_manifest_is_what_kubernetes_knows(manifest: dict[str, Any]) -> None:
    """Strictly: a misspelt field is an error."""
    version = kubernetes_validate.latest_version()
    assert kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize("manifest", PODS, ids=label)
def test_a_pod_is_confined(manifest: dict[str, Any]) -> None:
    pod = manifest["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("manifest", PODS, ids=label)
def test_a_pod_is_found_by_its_own_labels(manifest: dict[str, Any]) -> None:
    labels = manifest["spec"]["selector"]["matchLabels"]
    assert labels.items() <= manifest["spec"]["template"]["metadata"]["labels"].items()


@pytest.mark.parametrize(
    ("file", "name"),
    [
        *(pytest.param(COMPOSE, name, id=name) for name in COMPOSE["services"]),
        pytest.param(CPU, "worker-cpu", id="worker-cpu"),
    ],
)
def test_a_service_is_confined(file: dict[str, Any], name: str) -> None:
    service = file["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["pids_limit"]


def test_the_worker_without_a_gpu_has_what_the_other_has() -> None:
    """An override cannot use the first file's anchors, so it repeats them."""
    with_gpu, without = COMPOSE["services"]["worker"], CPU["services"]["worker-cpu"]
    common = set(with_gpu) - {"image", "build", "deploy", "mem_limit", "environment"}
    assert {name: with_gpu[name] for name in common} == {name: without[name] for name in common}
    # It listens nowhere and asks nobody's proxies.
    only_apps = {"KAO_HOST", "KAO_PORT", "KAO_TRUSTED_PROXIES", "OTEL_EXPORTER_OTLP_ENDPOINT"}
    assert set(with_gpu["environment"]) - set(without["environment"]) == only_apps
    assert CPU["services"]["worker"] == {"profiles": ["gpu"]}


def test_the_worker_has_the_gpu_unless_another_file_takes_it_away() -> None:
    (device,) = COMPOSE["services"]["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}


def test_the_queue_has_a_password_that_only_its_services_can_read() -> None:
    services = {**COMPOSE["services"], **{"worker-cpu": CPU["services"]["worker-cpu"]}}
    users = {
        name
        for name, service in services.items()
        if any(volume.startswith("queue:") for volume in service.get("volumes", ()))
    }
    assert users == {"redis", "app", "worker", "worker-cpu"}
    for name in users - {"redis"}:
        assert "queue:/run/queue:ro" in services[name]["volumes"]
        assert services[name]["environment"]["REDIS_URL_FILE"] == "/run/queue/url"
    assert "requirepass" in services["redis"]["command"][-1]
    assert COMPOSE["volumes"]["queue"]["driver_opts"]["type"] == "tmpfs"


def test_every_file_that_the_guide_names_is_there() -> None:
    guide = (ROOT / "docs" / "deploy.md").read_text()
    paths = set(re.findall(r"`(deploy/[\w./-]+|docker-compose[\w.]*\.yml)`", guide))
    assert len(paths) >= 3
    assert not [name for name in paths if not (ROOT / name).exists()]
