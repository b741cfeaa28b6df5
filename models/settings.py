"""Every setting, read once from the environment at the entry point and passed down."""

from pathlib import Path

import platformdirs
from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Where Kao lives and whom it talks to. `docs/operations.md` lists every field."""

    model_config = SettingsConfigDict(env_prefix="KAO_", frozen=True, populate_by_name=True)

    home: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("kao")))
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    api_key: str | None = Field(default=None, min_length=16)
    threads: int | None = Field(default=None, ge=1, le=256)
    lease_seconds: float = Field(default=30, ge=1)
    max_upload_bytes: int = Field(default=2 * 2**30, ge=1)
    max_queue: int = Field(default=128, ge=1)
    redis_url: str | None = Field(default=None, validation_alias="REDIS_URL")
    database_url: str | None = Field(default=None, validation_alias="DATABASE_URL")
    storage_url: str | None = Field(default=None, validation_alias="STORAGE_URL")

    @field_validator("home")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return home.expanduser().absolute()

    @field_validator("storage_url")
    @classmethod
    def _a_folder(cls, url: str | None) -> str | None:
        if url and not url.startswith("file:///"):
            raise ValueError("STORAGE_URL must be a folder, as in file:///srv/kao")
        return url

    @property
    def storage(self) -> Path:
        """The folder of blobs: bundles, snapshots, uploads."""
        return (
            Path(self.storage_url.removeprefix("file://"))
            if self.storage_url
            else self.home / "store"
        )

    @property
    def cache(self) -> Path:
        """What can be made again: packed datasets."""
        return self.home / "cache"

    @property
    def database(self) -> str:
        """A SQLAlchemy URL."""
        return self.database_url or f"sqlite:///{self.home / 'kao.db'}"

    @property
    def redis_socket(self) -> Path:
        """Where the embedded Valkey listens."""
        return self.home / "run" / "valkey.sock"

    @property
    def redis(self) -> str:
        """REDIS_URL, else the embedded Valkey's Unix socket."""
        return self.redis_url or f"unix://{self.redis_socket}"

    @property
    def broker(self) -> str:
        """The same, as Celery spells it."""
        return self.redis.replace("unix://", "redis+socket://", 1)

    def environment(self) -> dict[str, str]:
        """The variables from which a child process reads these same settings."""
        names = {
            "redis_url": "REDIS_URL",
            "database_url": "DATABASE_URL",
            "storage_url": "STORAGE_URL",
        }
        # The key is for the app alone; a child's environment shows in /proc.
        fields = self.model_dump(mode="json", exclude={"api_key"}, exclude_none=True)
        return {
            names.get(name, f"KAO_{name.upper()}"): str(value) for name, value in fields.items()
        }
