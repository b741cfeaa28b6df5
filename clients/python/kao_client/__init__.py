"""A typed client of Kao's HTTP interface."""

from kao_client.answers import (
    Dataset,
    Description,
    Event,
    Face,
    Key,
    Member,
    Model,
    ModelDetails,
    NewKey,
    Picture,
    Run,
    SignedUrl,
    Upload,
)
from kao_client.calls import Refused
from kao_client.client import AsyncClient, Client

__all__ = [
    "AsyncClient",
    "Client",
    "Dataset",
    "Description",
    "Event",
    "Face",
    "Key",
    "Member",
    "Model",
    "ModelDetails",
    "NewKey",
    "Picture",
    "Refused",
    "Run",
    "SignedUrl",
    "Upload",
]
