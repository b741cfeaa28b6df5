"""A typed client of Kao's HTTP interface."""

from kao_client.answers import Description, Event, Face, Member, Model, Picture, Run
from kao_client.calls import Refused
from kao_client.client import AsyncClient, Client

__all__ = [
    "AsyncClient",
    "Client",
    "Description",
    "Event",
    "Face",
    "Member",
    "Model",
    "Picture",
    "Refused",
    "Run",
]
