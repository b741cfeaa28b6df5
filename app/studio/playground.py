"""The playground's page, and the first face on it, which needs no script."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request, Response

from app.auth import sessions
from app.avatars import traits
from app.avatars.formats import LOOP, RASTER, writable_formats
from app.avatars.request import parameters
from app.avatars.request.parameters import SHAPES
from app.avatars.request.picture_types import LARGEST_LOOP
from app.avatars.request.value_types import format_value
from app.errors import Forbidden, InvalidParameter, Unauthorised
from app.state import get_state
from app.studio import translations
from app.studio.pages import render
from models.bundle.format import Card
from models.errors import KaoError
from models.registry import DEFAULT, SHORTEST_PREFIX

router = APIRouter(include_in_schema=False)

SEED = "Noah"  # whose face is shown first
FACE_SIZE = 512  # pixels of the large face
LARGEST_PSI: float = parameters.PSI.schema["maximum"]
TRAIT = "trait."  # begins the names of traits in the page's address
SIZES = (64, 128, 256, 512, 1024)  # offered; an address may ask for any
SAMPLE = "count=12&columns=6&size=64&format=webp"  # the query of a model's faces
CHILDREN = 6  # on a sheet of siblings
COLUMNS = 3


@dataclass(frozen=True)
class FirstFace:
    """The face that the page's address asks for, as far as this server can draw it.

    look: the parameters of `/avatar` beside `seed`, as the address has them.
    version: the model that draws it; None where no model serves.
    unknown_model: the name that the address asked for in vain, else "".
    """

    seed: str
    look: dict[str, str]
    version: str | None
    unknown_model: str

    @property
    def link(self) -> str:
        """The query of the shortest address of the face, as others embed it."""
        return query({"seed": self.seed, **self.look})

    @property
    def picture(self) -> str:
        """The query of the large face: exactly what assets/state.js makes of the same state."""
        size = {"size": str(FACE_SIZE), "format": "webp"}
        look = {name: value for name, value in self.look.items() if name != "model"}
        return query({"seed": self.seed, **size, **look, "model": self.version or DEFAULT})


@router.get("/")
def playground(request: Request) -> Response:
    """Show the playground; where faces need a key and the session has none, a page that says so."""
    if not may_show_faces(request):
        return render(request, "closed.html", "playground", status=403)
    registry = get_state(request).registry
    models, aliases = registry.list_models(with_cards=True), registry.aliases()
    face = first_face(request.query_params, models, aliases)
    live = aliases.get(DEFAULT)
    return render(
        request,
        "playground.html",
        "playground",
        face=face,
        base=str(request.base_url),
        query=request.url.query,
        settings=_settings(models, aliases, face),
        live=live,
        models=sorted(models, key=lambda row: row["version"] != live),
        sample=SAMPLE,
        more_words=("trait",),
    )


def may_show_faces(request: Request) -> bool:
    """Whether faces are public, or the session's key may draw them. Blocks on the database."""
    state = get_state(request)
    if state.settings.public_avatars:
        return True
    try:
        session = sessions.read(state.database, request)
    except (Unauthorised, Forbidden):
        return False
    return session is not None and "avatars" in session.key.scopes


def first_face(
    address: Mapping[str, str], models: Sequence[Mapping[str, Any]], aliases: Mapping[str, str]
) -> FirstFace:
    """Read the page's address. What this server cannot draw is left out."""
    rows = {row["version"]: row for row in models}
    name = address.get("model", "")
    version = _version(name, rows, aliases)
    unknown = name if name and version is None else ""
    version = version or aliases.get(DEFAULT)
    look = _psi(address.get("psi", ""))
    if version is not None and version in rows and any(key.startswith(TRAIT) for key in address):
        look |= _traits(address, Card.model_validate(rows[version]["card"]))
    if name and not unknown:
        look["model"] = name
    return FirstFace(_seed(address.get("seed", SEED)), look, version, unknown)


def query(parameters: Mapping[str, str]) -> str:
    """A query string with the same escapes as URLSearchParams in the scripts."""
    return "&".join(
        f"{quote(name, safe='*')}={quote(value, safe='*').replace('~', '%7E')}"
        for name, value in parameters.items()
    )


def _version(name: str, rows: Mapping[str, Any], aliases: Mapping[str, str]) -> str | None:
    """The version that a name means: an alias, a version, or the beginning of one."""
    if (name or DEFAULT) in aliases:
        return aliases[name or DEFAULT]
    is_prefix = len(name) >= SHORTEST_PREFIX
    return next((version for version in rows if is_prefix and version.startswith(name)), None)


def _seed(text: str) -> str:
    try:
        parameters.SEED.value(text)
    except KaoError:
        return SEED
    return text


def _psi(text: str) -> dict[str, str]:
    try:
        psi = min(LARGEST_PSI, max(0.0, float(text)))
    except ValueError:
        return {}
    return {"psi": format_value(round(psi, 6))} if psi == psi else {}  # NaN is no psi


def _traits(address: Mapping[str, str], card: Card) -> dict[str, str]:
    """The traits of the address that this model has, with valid values."""
    trait_table = traits.trait_parameters(card)
    selection: dict[str, str] = {}
    for key, text in address.items():
        row = trait_table.get(key.removeprefix(TRAIT)) if key.startswith(TRAIT) else None
        if row is not None:
            try:
                row.value(text)
            except InvalidParameter:
                continue
            selection[row.name] = text
    return selection


def _settings(
    models: Sequence[Mapping[str, Any]], aliases: Mapping[str, str], face: FirstFace
) -> dict[str, Any]:
    """The server's constants and models for the scripts, which repeat none of them."""
    rasters = [name for name in ("webp", *RASTER) if name in writable_formats()]
    sheet = list(dict.fromkeys(rasters))
    return {
        "seed": SEED,
        "faceSize": FACE_SIZE,
        "largestPsi": LARGEST_PSI,
        "largest": parameters.LARGEST,
        "largestLoop": LARGEST_LOOP,
        "sizes": SIZES,
        "shapes": list(SHAPES),
        "children": CHILDREN,
        "columns": COLUMNS,
        "formats": {
            "still": [*sheet, "svg"],
            "sheet": sheet,
            "loop": [name for name in LOOP if name in writable_formats()],
        },
        "models": [row["version"] for row in models],
        "aliases": aliases,
        "version": face.version,
        "unknownModel": face.unknown_model,
        "swatches": translations.swatches(),
    }
