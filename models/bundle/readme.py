"""The README of a model on the Hugging Face Hub, generated from its card."""

import json
from collections.abc import Iterator, Mapping

from models.bundle.format import Card, Evaluation

# Of https://huggingface.co/docs/hub/repositories-licenses; other licences are named as text.
LICENCES = frozenset(
    [
        "apache-2.0",
        "bsd-2-clause",
        "bsd-3-clause",
        "cc-by-2.0",
        "cc-by-3.0",
        "cc-by-4.0",
        "cc-by-nc-4.0",
        "cc-by-nc-sa-4.0",
        "cc-by-sa-3.0",
        "cc-by-sa-4.0",
        "cc0-1.0",
        "gpl-3.0",
        "mit",
        "mpl-2.0",
        "unlicense",
    ]
)
MEASURES = {
    "fd": "FD-Lite0 (0 is perfect)",
    "fd_own": "FD-Own (0 is perfect)",
    "kid": "KID (0 is perfect)",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
    "novelty": "novelty",
}


def readme(card: Card, version: str, repository: str) -> str:
    """Markdown behind a YAML header. repository: `owner/name`, in the commands."""
    parts = [_header(card), *_introduction(card, version), *_usage(repository, version)]
    parts += [*_traits(card), *_training(card), *_measures(card.evaluation), *_licence(card)]
    return "\n\n".join(parts) + "\n"


def _header(card: Card) -> str:
    licence = card.dataset.licence.partition(" ")[0].lower()
    rows = ["---"]
    if licence in LICENCES:
        rows.append(f"license: {licence}")
    else:
        rows += ["license: other", f"license_name: {_quote(card.dataset.licence)}"]
    rows += ["library_name: kao", "pipeline_tag: unconditional-image-generation"]
    rows += ["tags:", "- avatar", "- gan", "- onnx", "- safetensors", "---"]
    return "\n".join(rows)


def _quote(text: str) -> str:
    """A YAML scalar: JSON strings are YAML."""
    return json.dumps(text, ensure_ascii=False)


def _introduction(card: Card, version: str) -> Iterator[str]:
    network = card.network
    size = network.resolution * (card.enlarger.scale if card.enlarger else 1)
    yield f"# Avatars from {_plain(card.dataset.name)}"
    yield (
        f"A generator of faces for Kao, the self-hosted avatar service: any seed gives a face of "
        f"{network.resolution} × {network.resolution} pixels"
        + (f", enlarged to {size} × {size}" if card.enlarger else "")
        + ", always the same one."
    )
    yield "![Faces of the seeds 0 to 63](samples.png)"
    yield "\n".join(
        [
            "| | |",
            "|---|---|",
            f"| version | `{version}` |",
            f"| seed specification | {card.seed_specification} |",
            f"| default psi | {card.psi:g} |",
            f"| created | {card.created[:10]} |",
        ]
    )
    yield (
        "The version is the digest of all files but this one: SHA-256 over `name NUL sha256 LF` of "
        "each, in order of names. Nothing is pickled."
    )


def _usage(repository: str, version: str) -> Iterator[str]:
    yield "## Use"
    commands = ["pip install 'kao[hub]'", f"kao models pull {repository}"]
    commands += [f"kao models promote {version[:12]}", "kao up"]
    yield "\n".join(f"    {command}" for command in commands)
    yield f"Then `/avatar?seed=ada&model={version[:12]}` is a face of this model."


def _traits(card: Card) -> Iterator[str]:
    if not card.traits and not card.sliders:
        return
    yield "## Traits"
    rows = ["| parameter | values |", "|---|---|"]
    rows += [f"| `{_plain(each.name)}` | {_values(each.available)} |" for each in card.traits]
    rows += [f"| `{_plain(each.name)}` | {_plain(each.changes)} |" for each in card.sliders]
    yield "\n".join(rows)


def _values(values: object) -> str:
    return ", ".join(_plain(str(value)) for value in values) if isinstance(values, list) else ""


def _training(card: Card) -> Iterator[str]:
    training, dataset = card.training, card.dataset
    yield "## Training"
    yield (
        f"{training.images:,} images seen in {training.seconds / 60:,.0f} minutes on "
        f"{_plain(training.device)}, from {dataset.images:,} pictures of the set "
        f"`{_plain(dataset.name)}` (fingerprint `{dataset.fingerprint}`). `card.json` has the "
        "whole recipe."
    )


def _measures(evaluation: Evaluation | None) -> Iterator[str]:
    if evaluation is None:
        return
    yield "## Measures"
    yield f"Against `{_plain(evaluation.dataset)}` at psi {evaluation.psi:g}."
    columns = {"at the network's size": evaluation.measures}
    if evaluation.served:
        columns["as served"] = evaluation.served
    names = [name for name in MEASURES if any(name in column for column in columns.values())]
    rows = [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name in names:
        cells = " | ".join(_number(column, name) for column in columns.values())
        rows.append(f"| {MEASURES[name]} | {cells} |")
    yield "\n".join(rows)
    if evaluation.failures:
        yield "## Limits"
        yield _plain(evaluation.failures)


def _number(measures: Mapping[str, float | list[float]], name: str) -> str:
    value = measures.get(name)
    return f"{value:.4g}" if isinstance(value, float) else ""


def _licence(card: Card) -> Iterator[str]:
    yield "## Licence"
    yield f"Of the training set: {_plain(card.dataset.licence)}. {_plain(card.dataset.credit)}"


def _plain(text: str) -> str:
    """Text of a card without what Markdown, tables and HTML read as markup."""
    line = " ".join(text.split())
    return "".join(f"\\{letter}" if letter in "\\`*[]<>|" else letter for letter in line)
