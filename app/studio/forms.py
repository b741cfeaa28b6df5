"""A recipe's JSON Schema as the fields of a form, so that the form has every one of them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Schema = dict[str, Any]

# The order in which people think of them; what is named nowhere comes last, never away.
GROUPS: dict[str, tuple[str, ...]] = {
    "length": ("minutes", "images", "epochs"),
    "data": ("dataset", "dataset_limit", "start_from", "labels", "flip", "augment"),
    "network": ("network", "resolution", "latent", "style", "width", "discriminator_width"),
    "loss": ("loss", "penalty", "gamma", "gamma_end", "penalty_every", "mixing", "label_weight"),
    "steps": ("batch", "generator", "discriminator", "learning_rate_end", "ema_images"),
    "telling": (
        "sheet_images",
        "measure_every",
        "measure_samples",
        "snapshot_seconds",
        "publish",
        "publish_minutes",
        "promote",
        "critic",
        "enlarger_steps",
        "enlarger_width",
        "enlarger_blocks",
        "enlarger_fold",
        "on_divergence",
    ),
    "machine": ("seed", "precision", "threads"),
}
ELSEWHERE = ("preset",)  # a choice of its own on the page


@dataclass(frozen=True)
class Control:
    """One field: `kind` is number, integer, text, list, choice or flag."""

    name: str
    kind: str
    help: str
    optional: bool
    choices: tuple[str, ...] = ()
    limits: dict[str, Any] = field(default_factory=dict)


def groups(schema: Schema) -> dict[str, list[Control]]:
    """Every field of the schema once, by group."""
    controls = {
        name: list(_controls(schema, name, part))
        for name, part in schema["properties"].items()
        if name not in ELSEWHERE
    }
    named = {group: [name for name in names if name in controls] for group, names in GROUPS.items()}
    rest = controls.keys() - {name for names in named.values() for name in names}
    named["more"] = [name for name in controls if name in rest]
    return {
        group: [control for name in names for control in controls[name]]
        for group, names in named.items()
        if names
    }


def _controls(schema: Schema, name: str, part: Schema) -> Iterator[Control]:
    """One, or for a nested object one for each of its members, as `generator.beta1`."""
    if "$ref" in part:
        nested = schema["$defs"][part["$ref"].rpartition("/")[2]]
        for inner, deeper in nested["properties"].items():
            yield from _controls(schema, f"{name}.{inner}", deeper)
        return
    options = part.get("anyOf", [part])
    told = next(option for option in options if option.get("type") != "null")
    yield Control(
        name=name,
        kind=_kind(told),
        help=part.get("description", "").replace("`", ""),  # Markdown's, not HTML's
        optional=len(options) > 1,
        choices=tuple(told.get("enum", ())),
        limits=_limits(told),
    )


def _kind(part: Schema) -> str:
    if "enum" in part:
        return "choice"
    kinds = {"boolean": "flag", "array": "list", "string": "text"}
    kind = str(part["type"])
    return kinds.get(kind, kind)


def _limits(part: Schema) -> dict[str, Any]:
    """What an <input> knows of it; what it cannot say the server refuses with a sentence."""
    names = {"minimum": "min", "maximum": "max", "maxLength": "maxlength"}
    # JavaScript's numbers are exact to 2^53.
    return {
        names[name]: min(value, 2**53)
        for name, value in part.items()
        if name in names and part["type"] != "array"
    }
