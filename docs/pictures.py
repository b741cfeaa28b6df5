"""The pictures of the documentation, drawn by the model that comes with Kao: `make pictures`."""

import tempfile
from pathlib import Path

from app.avatars.request.picture_types import (
    AVATAR,
    BLEND,
    FAMILY,
    GROW,
    MIX,
    MORPH,
    OG,
    SHEET,
    PictureType,
)
from kao import pictures
from models.settings import Settings

FOLDER = Path(__file__).parent / "pictures"
SHEETS = {"count": "16", "columns": "8", "gap": "8", "size": "160", "backdrop": "fff"}
FACE = {"psi": "0.7", "size": "256"}
LOOP = {"psi": "0.7", "size": "192"}
FAMILY_OF = {"parents": "joan,stephanie", "psi": "0.7", "size": "160"}
TEAM = {
    "seeds": "joan,stephanie,alan,edsger,barbara,donald,margaret,tim",
    "columns": "8",
    "gap": "8",
    "size": "160",
    "backdrop": "fff",
    "psi": "0.7",
}
# The README's table: the same eight faces with one trait each.
TRAITS = {
    "plain": {},
    "hair": {"hair_colour": "pink"},
    "length": {"hair_length": "long"},
    "skin": {"skin": "brown"},
    "mood": {"mood": "sad"},
    "flowers": {"flowers": "yes"},
    "glasses": {"glasses": "round"},
    "bright": {"brightness": "0.8"},
}
PICTURES: list[tuple[str, PictureType, dict[str, str]]] = [
    *((f"psi-{psi}.webp", SHEET, {**SHEETS, "psi": psi}) for psi in ("0.5", "0.8", "1")),
    ("circle.webp", AVATAR, {**FACE, "seed": "joan", "shape": "circle"}),
    ("traced.svg", AVATAR, {**FACE, "seed": "joan"}),
    ("morph.webp", MORPH, {**LOOP, "from": "joan", "to": "stephanie"}),
    *((f"morph-{t}.webp", MORPH, {**FACE, "from": "joan", "to": "stephanie", "t": t})
      for t in ("0", "0.25", "0.5", "0.75", "1")),
    ("mix.webp", MIX, {**FACE, "coarse": "joan", "fine": "stephanie"}),
    ("blend.webp", BLEND, {**FACE, "seeds": "joan:2,stephanie:1"}),
    ("family.webp", FAMILY, {**FAMILY_OF, "columns": "6", "gap": "4", "backdrop": "fff"}),
    ("og.webp", OG, {"seed": "joan", "psi": "0.7"}),
    ("grow.webp", GROW, {**LOOP, "seed": "joan"}),
    *((f"trait-{name}.webp", SHEET, {**TEAM, **traits}) for name, traits in TRAITS.items()),
    ("faces.webp", SHEET, {"count": "60", "columns": "12", "size": "144", "psi": "0.7"}),
]  # fmt: skip


def main() -> None:
    """Write all of them."""
    with tempfile.TemporaryDirectory() as home:
        for name, picture_type, values in PICTURES:
            print(pictures.render(picture_type, values, FOLDER / name, Settings(home=Path(home))))


if __name__ == "__main__":
    main()
