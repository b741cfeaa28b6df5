"""The fields of the form of a run, derived from the JSON Schema of a recipe."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Schema = dict[str, Any]

# In the order of the form; fields that are listed nowhere follow in a last group.
GROUPS: dict[str, tuple[str, ...]] = {
    "length": ("minutes", "images", "epochs"),
    "data": (
        "dataset",
        "dataset_limit",
        "held_out",
        "start_from",
        "labels",
        "hidden_labels",
        "balance",
        "flip",
        "augment",
    ),
    "network": ("network", "resolution", "latent", "style", "width", "discriminator_width"),
    "loss": (
        "loss",
        "penalty",
        "gamma",
        "gamma_end",
        "penalty_every",
        "mixing",
        "label_weight",
        "match_weight",
        "matching_steps",
    ),
    "steps": (
        "batch",
        "accumulation",
        "generator",
        "discriminator",
        "learning_rate_end",
        "ema_images",
    ),
    "reports": (
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
        "distillation_steps",
        "on_divergence",
    ),
    "machine": ("seed", "precision", "threads"),
}
ELSEWHERE = ("preset",)  # the page has its own control for it


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
    """Return every field of the schema once, by group."""
    controls = {
        name: list(_controls(schema, name, part))
        for name, part in schema["properties"].items()
        if name not in ELSEWHERE
    }
    by_group = {
        group: [name for name in names if name in controls] for group, names in GROUPS.items()
    }
    other_names = controls.keys() - {name for names in by_group.values() for name in names}
    by_group["more"] = [name for name in controls if name in other_names]
    return {
        group: [control for name in names for control in controls[name]]
        for group, names in by_group.items()
        if names
    }


def _controls(schema: Schema, name: str, part: Schema) -> Iterator[Control]:
    """Yield one control, or one for each member of a nested object, as `generator.beta1`."""
    if "$ref" in part:
        members = schema["$defs"][part["$ref"].rpartition("/")[2]]["properties"]
        for member, member_schema in members.items():
            yield from _controls(schema, f"{name}.{member}", member_schema)
        return
    options = part.get("anyOf", [part])
    schema_of_value = next(option for option in options if option.get("type") != "null")
    yield Control(
        name=name,
        kind=_kind(schema_of_value),
        help=part.get("description", "").replace("`", ""),  # Markdown's, not HTML's
        optional=len(options) > 1,
        choices=tuple(schema_of_value.get("enum", ())),
        limits=_limits(schema_of_value),
    )


def _kind(part: Schema) -> str:
    if "enum" in part:
        return "choice"
    kinds = {"boolean": "flag", "array": "list", "string": "text"}
    kind = str(part["type"])
    return kinds.get(kind, kind)


def _limits(part: Schema) -> dict[str, Any]:
    """Return the limits as attributes of <input>; the server checks those it has none for.

    An exclusive minimum becomes `min` too: the browser then refuses -1, and the server 0.
    """
    names = {
        "minimum": "min",
        "exclusiveMinimum": "min",
        "maximum": "max",
        "maxLength": "maxlength",
    }
    # JavaScript's numbers are exact to 2^53.
    return {
        names[name]: min(value, 2**53)
        for name, value in part.items()
        if name in names and part["type"] != "array"
    }
