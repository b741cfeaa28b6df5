"""`deploy/kubernetes`: valid, confined, scaled by a number that Kao has.

kustomize builds the overlays where kubectl or kustomize is installed; without it the files are
checked one by one. KEDA's schemas are those of its repository at 8b4f083 (Apache-2.0), without
their descriptions.
"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import sqlalchemy as sa
import yaml

from tests.support.fixtures import Begin

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
SCHEMAS = Path(__file__).parent / "schemas"
OVERLAYS = ("cpu", "gpu")
FILES = [*(FOLDER / "base").glob("*.yaml"), FOLDER / "overlays" / "gpu" / "scaling.yaml"]
Manifest = dict[str, Any]
MANIFESTS: list[Manifest] = [
    manifest
    for file in FILES
    if file.name != "kustomization.yaml"
    for manifest in yaml.safe_load_all(file.read_text())
]


def label(manifest: Manifest) -> str:
    return f"{manifest['kind']}-{manifest['metadata']['name']}"


def closed(schema: Any) -> Any:
    """The schema in which a field that it does not name is an error."""
    if isinstance(schema, list):
        return [closed(value) for value in schema]
    if not isinstance(schema, dict):
        return schema
    result = {name: closed(value) for name, value in schema.items()}
    if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        # Of an object's metadata the schema says only that it is one.
        result["properties"]["metadata"] = schema["properties"].get("metadata", True)
        result.setdefault("additionalProperties", False)
    return result


def check(manifest: Manifest) -> None:
    """Raise where Kubernetes or KEDA would refuse the object; a misspelt field is refused too."""
    if manifest["apiVersion"].startswith("keda.sh/"):
        schema = json.loads((SCHEMAS / f"{manifest['kind']}.json").read_text())
        jsonschema.validate(manifest, closed(schema))
        return
    version = kubernetes_validate.latest_version()
    assert kubernetes_validate.validate(manifest, version, strict=True)


def build(overlay: str) -> list[Manifest]:
    """What kustomize makes of an overlay; the test is skipped where it is not installed."""
    if shutil.which("kustomize"):
        command = ["kustomize", "build"]
    elif shutil.which("kubectl"):
        command = ["kubectl", "kustomize"]
    else:
        pytest.skip("neither kubectl nor kustomize is installed here")
    words = [*command, str(FOLDER / "overlays" / overlay)]
    process = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    return list(yaml.safe_load_all(process.stdout))


def find(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    (manifest,) = [
        each for each in manifests if (each["kind"], each["metadata"]["name"]) == (kind, name)
    ]
    return manifest


@pytest.mark.parametrize("manifest", MANIFESTS, ids=label)
def test_a_manifest_is_what_kubernetes_and_keda_know(manifest: Manifest) -> None:
    check(manifest)


def test_a_misspelt_field_of_keda_is_refused() -> None:
    scaled = find(MANIFESTS, "ScaledObject", "kao-worker")
    wrong = {**scaled, "spec": {**scaled["spec"], "minReplicasCount": 0}}
    with pytest.raises(jsonschema.ValidationError, match="minReplicasCount"):
        check(wrong)


@pytest.mark.parametrize("name", ["kao-app", "kao-worker"])
def test_a_pod_is_confined(name: str) -> None:
    manifest = find(MANIFESTS, "Deployment", name)
    template = manifest["spec"]["template"]
    labels = manifest["spec"]["selector"]["matchLabels"]
    assert labels.items() <= template["metadata"]["labels"].items()
    pod = template["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False  # the Service `kao` would set KAO_PORT
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_is_valid_and_its_images_are_named(overlay: str) -> None:
    manifests = build(overlay)
    for manifest in manifests:
        check(manifest)
    secrets = {label(each): each["data"] for each in manifests if each["kind"] == "Secret"}
    assert set(secrets["Secret-kao-key"]) == {"KAO_API_KEY"}
    assert "KAO_API_KEY" not in secrets["Secret-kao"]
    for name in ("kao-app", "kao-worker"):
        pod = find(manifests, "Deployment", name)["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert container["image"].startswith("registry.example/kao-")
        used = {source["secretRef"]["name"] for source in container["envFrom"]}
        assert used <= {"kao", "kao-key"}


def test_workers_have_a_gpu_and_no_fixed_number_in_the_overlay_for_it() -> None:
    worker = find(build("gpu"), "Deployment", "kao-worker")["spec"]
    (container,) = worker["template"]["spec"]["containers"]
    assert container["resources"]["limits"] == {"memory": "16Gi", "nvidia.com/gpu": "1"}
    assert "replicas" not in worker
    without = find(build("cpu"), "Deployment", "kao-worker")["spec"]
    (container,) = without["template"]["spec"]["containers"]
    assert "nvidia.com/gpu" not in container["resources"]["limits"]
    assert without["replicas"] == 1


def test_workers_are_counted_by_the_runs_that_wait_or_train(
    begin: Begin, engine: sa.Engine
) -> None:
    """The query of the ScaledObject, run on Kao's own tables."""
    scaled = find(MANIFESTS, "ScaledObject", "kao-worker")["spec"]
    assert scaled["minReplicaCount"] == 0
    (trigger,) = scaled["triggers"]
    assert trigger["type"] == "postgresql"
    authentication = find(MANIFESTS, "TriggerAuthentication", trigger["authenticationRef"]["name"])
    (source,) = authentication["spec"]["secretTargetRef"]
    assert source == {"parameter": "connection", "name": "kao", "key": "DATABASE_URL"}

    def count() -> int:
        with engine.begin() as db:
            return int(db.execute(sa.text(trigger["metadata"]["query"])).scalar_one())

    assert count() == 0
    for state in ("queued", "queued", "running", "succeeded", "failed", "cancelled"):
        begin(state)
    assert count() == 3


def test_every_file_that_a_kustomization_names_is_there() -> None:
    files = list(FOLDER.rglob("kustomization.yaml"))
    assert len(files) == 4
    for file in files:
        content = yaml.safe_load(file.read_text())
        names = [*content.get("resources", ()), *content.get("components", ())]
        names += [patch["path"] for patch in content.get("patches", ())]
        names += [env for secret in content.get("secretGenerator", ()) for env in secret["envs"]]
        assert names
        assert not [name for name in names if not (file.parent / name).exists()]
