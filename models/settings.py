"""Every setting, read once from the environment at the entry point and passed down."""

import contextlib
import hashlib
import ipaddress
import os
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, unquote, urlsplit

import platformdirs
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ByteSize,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from models import cores
from models.errors import KaoError
from models.storage import layout
from models.storage.blob_store import Blobs

LONGEST_SOCKET_PATH = 100  # bytes
PATH_PREFIX = r"^((/([A-Za-z0-9._~-]|%[0-9A-Fa-f]{2})+)+)?$"
# First segments of Kao's own paths. A path prefix with one of them would be ambiguous.
RESERVED_PREFIXES = frozenset({
    "assets", "avatar", "avatar.php", "avatars", "blend", "datasets", "docs", "family",
    "favicon.ico", "grow", "health", "keys", "local", "manifest.webmanifest", "metrics", "mix",
    "models", "morph", "og", "openapi.json", "presets", "robots.txt", "session", "sheet", "sign",
    "studio", "team", "train", "walk", "webhooks",
})  # fmt: skip
CREDENTIALS = {"access_key_id", "secret_access_key", "session_token"}
RATE = r"(none|[1-9][0-9]{0,8}/(second|minute|hour|day))"


def is_reserved(prefix: str) -> bool:
    """Whether the first segment of a path, percent-encoded, is that of Kao's own addresses."""
    return not RESERVED_PREFIXES.isdisjoint(map(unquote, prefix.split("/")[1:2]))


def _read_size(size: Any) -> Any:
    """A number of bytes; text may have a unit, as 500MB or 2GiB. Raises ValueError."""
    try:
        return int(TypeAdapter(ByteSize).validate_python(size))
    except ValidationError:
        raise ValueError("must be a number of bytes, as 1000000, 500MB or 2GiB") from None


def _check_rate(rate: str) -> str:
    if not re.fullmatch(RATE, rate):
        raise ValueError("must be a number a second, minute, hour or day, as 600/minute, or none")
    return rate


Size = Annotated[int, BeforeValidator(_read_size)]
Rate = Annotated[str, AfterValidator(_check_rate)]


class SecretFiles(PydanticBaseSettingsSource):
    """Reads `NAME_FILE`, the path of a file with the value of `NAME`, as Docker secrets do."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The content of the field's file without its last line end; None for none or a blank.

        A byte order mark, which editors of Windows write, is no part of it. Raises KaoError for
        a file that cannot be read.
        """
        path = os.environ.get(f"{variable_of(field_name, field)}_FILE")
        if not path:
            return None, field_name, False
        try:
            text = Path(path).read_text(encoding="utf-8-sig").rstrip("\r\n")
            return (text if text.strip() else None), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            name = variable_of(field_name, field)
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise KaoError(f"{name}_FILE names {path}, which cannot be read: {reason}.") from None

    def __call__(self) -> dict[str, Any]:
        """The values of all fields that have a file."""
        fields = self.settings_cls.model_fields.items()
        values = {
            str(field.validation_alias or name): self.get_field_value(field, name)[0]
            for name, field in fields
        }
        return {name: value for name, value in values.items() if value is not None}


def variable_of(name: str, field: FieldInfo) -> str:
    """The environment variable of a field."""
    return str(field.validation_alias or f"KAO_{name.upper()}")


class Settings(BaseSettings):
    """All settings. `docs/operations.md` lists every field. A blank variable is unset."""

    model_config = SettingsConfigDict(
        env_prefix="KAO_", env_ignore_empty=True, frozen=True, populate_by_name=True
    )

    home: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("kao")))
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    path_prefix: str = Field(default="", pattern=PATH_PREFIX)
    api_key: str | None = Field(default=None, min_length=16)
    public_avatars: bool = True
    limit_pictures: Rate = "6000/minute"
    limit_calls: Rate = "600/minute"
    trusted_proxies: str | None = None
    threads: int | None = Field(default=None, ge=1, le=256)
    processes: int | None = Field(default=None, ge=1, le=256)
    webhooks_private: bool = False
    lease_seconds: float = Field(default=30, ge=1)
    max_upload_bytes: Size = Field(default=2 * 2**30, ge=1)
    max_bundle_bytes: Size = Field(default=512 * 2**20, ge=1)
    max_key_bytes: Size = Field(default=20 * 2**30, ge=0)
    max_datasets_bytes: Size = Field(default=100 * 2**30, ge=0)
    min_free_bytes: Size = Field(default=2**30, ge=0)
    local_bytes: Size = Field(default=50 * 2**30, ge=0)
    max_queue: int = Field(default=128, ge=1)
    cache_bytes: Size = Field(default=32 * 2**20, ge=0)
    model_bytes: Size = Field(default=256 * 2**20, ge=0)
    redis_url: str | None = Field(default=None, validation_alias="REDIS_URL")
    database_url: str | None = Field(default=None, validation_alias="DATABASE_URL")
    storage_url: str | None = Field(default=None, validation_alias="STORAGE_URL")
    access_key_id: str | None = Field(default=None, validation_alias="AWS_ACCESS_KEY_ID")
    secret_access_key: str | None = Field(default=None, validation_alias="AWS_SECRET_ACCESS_KEY")
    session_token: str | None = Field(default=None, validation_alias="AWS_SESSION_TOKEN")
    otlp_endpoint: str | None = Field(default=None, validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT")

    @field_validator("home")
    @classmethod
    def _make_absolute(cls, home: Path) -> Path:
        try:
            return home.expanduser().absolute()
        except RuntimeError:  # no HOME, and no entry for this user in the system's list
            raise ValueError("this user has no home directory; set KAO_HOME") from None

    @field_validator("host")
    @classmethod
    def _read_host(cls, host: str) -> str:
        """An IPv6 address as it is usually written, without the brackets that it has in a URL."""
        text = host.strip()
        with contextlib.suppress(ValueError):
            return str(ipaddress.IPv6Address(text.removeprefix("[").removesuffix("]")))
        return text

    @field_validator("path_prefix", mode="before")
    @classmethod
    def _read_prefix(cls, prefix: str) -> str:
        """The prefix percent-encoded, with one slash before and none behind it."""
        path = quote(prefix.strip().strip("/"), safe="/%~")
        return f"/{path}" if path else ""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The variable itself takes precedence over its file.

        Kubernetes sets KAO_PORT to `tcp://…` in the pods beside a Service called `kao`.
        """
        assert isinstance(env_settings, EnvSettingsSource)
        variables = env_settings.env_vars.items()
        env_settings.env_vars = {
            name: text
            for name, text in variables
            if text and text.strip() and not (name == "kao_port" and text.startswith("tcp://"))
        }
        return init_settings, env_settings, SecretFiles(settings_cls)

    @field_validator("path_prefix")
    @classmethod
    def _check_prefix(cls, prefix: str) -> str:
        if is_reserved(prefix):
            raise ValueError(f"{prefix} begins as one of Kao's own addresses; choose another")
        return prefix

    @field_validator("trusted_proxies")
    @classmethod
    def _check_networks(cls, proxies: str | None) -> str | None:
        for proxy in proxies.split(",") if proxies else ():
            ipaddress.ip_network(proxy.strip())  # raises ValueError with a reason
        return proxies

    @field_validator("storage_url")
    @classmethod
    def _check_storage_url(cls, url: str | None) -> str | None:
        if url and not url.startswith("file:///") and not re.match("s3://[a-z0-9]", url):
            raise ValueError(
                "STORAGE_URL must be a folder, as in file:///srv/kao, or a bucket, as in "
                "s3://bucket/prefix"
            )
        return url

    @field_validator("redis_url")
    @classmethod
    def _check_redis_url(cls, url: str | None) -> str | None:
        if url and not url.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("REDIS_URL must begin with redis://, rediss:// or unix://")
        try:
            _ = urlsplit(url or "").port
        except ValueError:
            raise ValueError("REDIS_URL must be an address whose port is from 0 to 65535") from None
        return url

    @field_validator("database_url")
    @classmethod
    def _name_driver(cls, url: str | None) -> str | None:
        """Add the driver to `postgres://…`; SQLAlchemy's default is an older one."""
        if url and not re.match(r"(sqlite|postgres|postgresql(\+psycopg)?)://", url):
            raise ValueError(
                "DATABASE_URL must be of SQLite or PostgreSQL, as in "
                "postgresql://user:password@host/kao"
            )
        return re.sub("^(postgres|postgresql)://", "postgresql+psycopg://", url) if url else url

    @property
    def trusted_networks(self) -> list[str]:
        """The trusted proxies, with the IPv6 form in which a dual-stack socket shows IPv4 ones."""
        names = (self.trusted_proxies or "").split(",")
        networks = [ipaddress.ip_network(name.strip()) for name in names if name.strip()]
        ipv6_forms = [
            f"::ffff:{network.network_address}/{network.prefixlen + 96}"
            for network in networks
            if network.version == 4
        ]
        return [*map(str, networks), *ipv6_forms]

    @property
    def storage(self) -> Path:
        """The folder of bundles, snapshots and uploads; with a bucket, a cache of them."""
        return (
            Path(unquote(self.storage_url.removeprefix("file://")))
            if self.storage_url and not self._bucket
            else self.home / layout.STORE
        )

    @property
    def blobs(self) -> Blobs:
        """The same folder, with the bucket that STORAGE_URL names, if any."""
        return self.blobs_in(self.storage)

    def blobs_in(self, folder: Path) -> Blobs:
        """Another folder with the same bucket."""
        credentials = self.model_dump(include=CREDENTIALS, exclude_none=True)
        return Blobs(folder, self._bucket, credentials)

    @property
    def _bucket(self) -> str | None:
        is_bucket = self.storage_url is not None and self.storage_url.startswith("s3://")
        return self.storage_url if is_bucket else None

    @property
    def cache(self) -> Path:
        """The folder of packed datasets, which can be rebuilt."""
        return self.home / layout.CACHE

    @property
    def parallel(self) -> int:
        """Number of threads of one heavy job: KAO_THREADS, else the available cores."""
        return self.threads or cores.available()

    @property
    def can_train_here(self) -> bool:
        """Whether this machine has PyTorch, which training needs."""
        return find_spec("torch") is not None

    @property
    def can_train(self) -> bool:
        """Whether a worker can: one on this machine, or others, which may be anywhere."""
        return self.redis_url is not None or self.can_train_here

    @property
    def redis_socket(self) -> Path:
        """Where the embedded Valkey listens: in the home, or in /tmp where its path is too long.

        A Unix socket's path has at most 107 bytes on Linux, 103 on macOS.
        """
        path = self.home / layout.QUEUE_SOCKET
        if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
            return path
        name = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
        # `kao up` refuses the folder when another user owns it.
        return Path("/tmp") / f"kao-{os.geteuid()}-{name}" / path.name  # nosec B108

    @property
    def redis(self) -> str:
        """REDIS_URL, else the embedded Valkey's Unix socket."""
        return self.redis_url or f"unix://{quote(str(self.redis_socket))}"

    @property
    def broker(self) -> str:
        """The same address in Celery's notation."""
        return self.redis.replace("unix://", "redis+socket://", 1)

    def environment(self) -> dict[str, str]:
        """The environment variables from which a child process reads the same settings."""
        # /proc shows the environment of a child. Only the app needs the API key, and the
        # variables or files that the credentials come from are inherited.
        secrets = {"api_key"} | CREDENTIALS
        values = self.model_dump(mode="json", exclude=secrets, exclude_none=True)
        fields = type(self).model_fields
        return {variable_of(name, fields[name]): str(value) for name, value in values.items()}
