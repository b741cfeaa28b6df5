"""Bodies of requests and answers about keys, sessions and signed addresses."""

from pydantic import BaseModel, ConfigDict, Field

from app.auth.signed_urls import MAX_SECONDS
from models.keys import MAX_NAME, Scope

MAX_URL = 8192  # characters
MAX_KEY = 200  # characters


class Key(BaseModel):
    """An API key without its secret, which only the answer to `POST /keys` contains."""

    id: str = Field(examples=["5f0c8e3d9a21"])
    name: str = Field(examples=["ci"])
    scopes: list[Scope]
    created: str
    revoked: str | None


class NewKey(Key):
    """A key with its secret."""

    key: str = Field(examples=["kao_…"])


class Keys(BaseModel):
    """All keys, newest first."""

    keys: list[Key]


class KeyRequest(BaseModel):
    """A key to make."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=MAX_NAME, examples=["ci"])
    scopes: list[Scope] = Field(min_length=1, examples=[["read", "train"]])


class SignRequest(BaseModel):
    """The address of a picture to sign."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(max_length=MAX_URL, examples=["/avatar?seed=42"])
    seconds: int = Field(
        default=24 * 3600, ge=1, le=MAX_SECONDS, description="How long the address is valid."
    )


class SignedUrl(BaseModel):
    """An address that needs no key until `expires` (Unix time)."""

    url: str
    expires: int


class Login(BaseModel):
    """A key to log in with."""

    model_config = ConfigDict(extra="forbid")

    key: str = Field(max_length=MAX_KEY, examples=["kao_…"])


class Session(BaseModel):
    """A browser's session: the key's name and scopes, and its end (Unix time)."""

    name: str = Field(examples=["first"])
    scopes: list[Scope]
    expires: int
