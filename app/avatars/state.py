"""The app's state with the parts that draw pictures and keep them."""

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from app.avatars.cache.fast_path import ResponseCache
from app.avatars.cache.picture_cache import PictureCache
from app.avatars.generate.engine import Engine
from app.concurrency_limits.batch_slots import BatchSlots
from app.concurrency_limits.body_budget import BodyBudget
from app.state import AppState, get_state, inject_state


@dataclass(frozen=True, kw_only=True)
class PictureState(AppState):
    """What the routes share, those of pictures included."""

    engine: Engine
    pictures: PictureCache
    responses: ResponseCache
    batches: BatchSlots = field(default_factory=BatchSlots)
    bodies: BodyBudget = field(default_factory=BodyBudget)


def get_picture_state(request: Request) -> PictureState:
    """The state of the app that answers this request."""
    state = get_state(request)
    assert isinstance(state, PictureState)
    return state


# The parameter type of a route that needs this state.
PictureStateDep = Annotated[PictureState, Depends(inject_state)]
