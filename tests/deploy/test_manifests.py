"""The compose files are confined, and what docs/deploy.md names is there."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from models.settings import Settings, variable_of

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
CPU = yaml.safe_load((ROOT / "docker-compose.cpu.yml").read_text())


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
    # It listens on no port and trusts no proxy.
    only_apps = {"KAO_HOST", "KAO_PORT", "KAO_TRUSTED_PROXIES", "OTEL_EXPORTER_OTLP_ENDPOINT"}
    assert set(with_gpu["environment"]) - set(without["environment"]) == only_apps
    assert CPU["services"]["worker"] == {"profiles": ["gpu"]}


def test_every_setting_reaches_its_service() -> None:
    own = {"home", "host", "port", "redis_url"}  # which the file itself sets
    variables = {
        variable_of(name, field) for name, field in Settings.model_fields.items() if name not in own
    }
    assert variables <= set(COMPOSE["services"]["app"]["environment"])


def test_the_worker_has_the_gpu_unless_another_file_takes_it_away() -> None:
    (device,) = COMPOSE["services"]["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}


def test_the_queue_has_a_password_that_only_its_services_can_read() -> None:
    services = {**COMPOSE["services"], "worker-cpu": CPU["services"]["worker-cpu"]}
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
    # redis:7-bookworm's entry point sets the umask to 0077, and the services have another user.
    assert "chmod 0644 /run/queue/url" in services["redis"]["command"][-1]
    assert COMPOSE["volumes"]["queue"]["driver_opts"]["type"] == "tmpfs"


def test_apps_behind_the_proxy_are_not_open_to_other_machines() -> None:
    """The app trusts the addresses that are forwarded from Docker's network."""
    services = {**COMPOSE["services"], **CPU["services"]}
    ports = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert ports.keys() == {"app", "proxy"}
    [default] = re.findall(r"^\$\{KAO_PUBLISH:-(.+)\}$", ports["app"][0])
    variables = (ROOT / "deploy" / "many.env").read_text()
    [many] = re.findall(r"^KAO_PUBLISH=(.+)$", variables, re.MULTILINE)
    assert default == "8000:8000"  # alone it is the server, and trusts no proxy
    assert many == "127.0.0.1::8000"


def test_every_file_that_the_guide_names_is_there() -> None:
    guide = (ROOT / "docs" / "deploy.md").read_text()
    paths = set(re.findall(r"`(deploy/[\w./-]+|docker-[\w.]+\.(?:yml|hcl))`", guide))
    assert len(paths) >= 3
    assert not [name for name in paths if not (ROOT / name).exists()]


def test_the_unit_of_systemd_gives_the_processes_time_to_stop_in_order(tmp_path: Path) -> None:
    unit = configparser.ConfigParser(strict=True, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]  # keys have capitals
    unit.read(ROOT / "deploy" / "kao.service")
    service = unit["Service"]
    assert service["ExecStart"].endswith("/kao up")
    assert service["KillMode"] == "mixed"  # SIGTERM for `kao up` alone
    assert int(service["TimeoutStopSec"]) > 45 + 12 + 10  # the graces of its children
    if tool := shutil.which("systemd-analyze"):
        copy = tmp_path / "kao.service"
        text = (ROOT / "deploy" / "kao.service").read_text()
        copy.write_text(text.replace(service["ExecStart"], "/bin/true"))
        result = subprocess.run([tool, "verify", copy], capture_output=True, text=True, timeout=60)
        assert "kao.service" not in result.stderr
