"""Typed access to the app behind a test client."""

from fastapi import FastAPI
from starlette.testclient import TestClient

from app.avatars.state import PictureState


def app_of(client: TestClient) -> FastAPI:
    """The application that the client calls."""
    assert isinstance(client.app, FastAPI)
    return client.app


def state_of(client: TestClient) -> PictureState:
    """The state of that application."""
    state = app_of(client).state.kao
    assert isinstance(state, PictureState)
    return state
