"""Every request gets a picture or a refusal that states the reason."""

import contextlib
from typing import Any

from hypothesis import HealthCheck, given, settings, strategies as st

from app.avatars import gravatar, traits
from app.avatars.bulk import request
from app.avatars.request import picture_request
from app.avatars.request.picture_types import PICTURE_TYPES, PictureType
from app.errors import NoAvatar
from models import bootstrap, bundle
from models.errors import KaoError
from models.faces import latents

CARD = bundle.Card.model_validate(bundle.read_card(bootstrap.shipped_bundles()[0]))
OFTEN = settings(deadline=None, suppress_health_check=list(HealthCheck))
NAMES = sorted({name.encode() for kind in PICTURE_TYPES for name in kind.names})
FIELDS = sorted(request.SCHEMA["properties"])
VALUE = st.binary(max_size=20) | st.sampled_from([b"1", b"0.5", b"a,b", b"a:1,b:2", b"%C3%A9"])
PAIRS = st.lists(st.tuples(st.sampled_from(NAMES) | st.binary(max_size=9), VALUE), max_size=6)
QUERY = PAIRS.map(lambda pairs: b"&".join(b"=".join(pair) for pair in pairs)) | st.binary()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=9,
)


@OFTEN
@given(kind=st.sampled_from(PICTURE_TYPES), raw=QUERY, accept=st.none() | st.text())
def test_any_query_is_a_picture_or_a_refusal(
    kind: PictureType, raw: bytes, accept: str | None
) -> None:
    try:
        picture, _ = picture_request.parse_query(kind, raw, accept)
        picture = traits.resolve(picture, CARD)
    except KaoError:
        return
    again, _ = picture_request.parse_query(
        kind, picture.address().partition("?")[2].encode(), accept
    )
    assert traits.resolve(again, CARD).values == picture.values


@OFTEN
@given(name=st.binary(max_size=60), raw=QUERY, accept=st.none() | st.text())
def test_any_path_is_a_picture_or_a_refusal(name: bytes, raw: bytes, accept: str | None) -> None:
    try:
        picture = traits.resolve(picture_request.parse_path(name, raw, accept), CARD)
    except KaoError:
        return
    assert latents.derive(str(picture.seed), 8).shape == (8,)


@OFTEN
@given(name=st.from_regex(r"[0-9a-fA-F]{32}(\.(png|jpg))?", fullmatch=True), raw=st.binary())
def test_a_gravatar_refuses_no_query(name: str, raw: bytes) -> None:
    with contextlib.suppress(NoAvatar):  # f=y&d=404
        address = gravatar.read_address(name, raw)
        assert address is not None
        gravatar.parse_gravatar(address, None)


@OFTEN
@given(body=st.dictionaries(st.sampled_from(FIELDS) | st.text(), JSON, max_size=5))
def test_any_batch_is_read_or_refused(body: dict[str, Any]) -> None:
    try:
        picture = [traits.resolve(face, CARD) for face in request.parse_body(body).faces]
    except KaoError:
        return
    assert 1 <= len(picture) <= request.MOST_SEEDS


@OFTEN
@given(seed=st.text(st.characters()))
def test_any_text_is_a_seed_or_refused(seed: str) -> None:
    try:
        face = latents.derive(seed, 16)
    except KaoError:
        return
    assert (face == latents.derive(seed, 16)).all()
