"""Alternative text is a sentence of what the face shows, in both languages."""

import json
from pathlib import Path

import pytest

from app.avatars.encode import alt_text
from app.avatars.request.picture_types import PICTURE_TYPES
from models import bootstrap
from models.bundle.format import Card, read_card

SHIPPED_MODELS = bootstrap.SHIPPED  # before a fixture puts an empty folder in its place
PINK = {"hair_colour": "pink", "hair_length": "long", "glasses": "round", "mood": "happy"}


@pytest.mark.parametrize(
    ("traits", "english", "chinese"),
    [
        pytest.param(
            PINK, "pink long hair, round glasses, smiling", "粉红色长发，圆框眼镜，微笑", id="whole"
        ),
        pytest.param({"hair_length": "short"}, "short hair", "短发", id="one-of-two"),
        pytest.param({"hair_colour": "sky"}, "sky blue hair", "天蓝色头发", id="colour-alone"),
        pytest.param({"eye_colour": "red"}, "red eyes", "红色眼睛", id="eyes"),
        pytest.param(
            {"eye_colour": "red", "glasses": "shades"}, "sunglasses", "墨镜", id="hidden-eyes"
        ),
        pytest.param(
            {"eye_colour": "red", "eyes_state": "closed"},
            "eyes closed",
            "闭着眼睛",
            id="closed-eyes",
        ),
        pytest.param({"glasses": "none", "flowers": "no"}, "a face", "一张脸", id="nothing"),
        pytest.param({"skin": "tan", "background": "mint"}, "a face", "一张脸", id="not-said"),
        pytest.param(
            {"hat_type": "top_hat"}, "hat type: top hat", "hat type：top hat", id="own-label"
        ),
        pytest.param({"warmth": 0.5}, "a face", "一张脸", id="slider"),
    ],
)
def test_traits_become_a_sentence(
    traits: dict[str, str | float], english: str, chinese: str
) -> None:
    assert alt_text.describe_face(traits) == {"en": english, "zh": chinese}


def test_every_value_of_the_starter_set_has_a_chinese_word() -> None:
    words = json.loads(Path(alt_text.__file__).with_suffix(".json").read_text())["zh"]
    (folder,) = SHIPPED_MODELS.glob("250b1d41f417*")
    for attribute in Card.model_validate(read_card(folder)).attributes:
        if attribute.name not in ("skin", "background"):
            assert set(attribute.values) <= set(words[attribute.name]), attribute.name


def test_every_picture_of_several_faces_has_a_text() -> None:
    for picture_type in PICTURE_TYPES:
        if picture_type.name not in ("avatar", "og"):
            assert all(alt_text.describe_picture(picture_type.name).values())
