"""Settings: documented, inherited by child processes, and safe with any path or empty variable."""

import ipaddress
import os
from pathlib import Path
from typing import Any

import pytest
import redis
import sqlalchemy as sa
from kombu.utils.url import url_to_parts
from pydantic import ValidationError

from models.database.engine import connect, migrate, url_of
from models.errors import KaoError
from models.settings import Settings

DOCS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
# Characters with a meaning in URLs.
ODD = "a b?c#d%41&é:@"


def _variable(field: str) -> str:
    return str(Settings.model_fields[field].validation_alias or f"KAO_{field.upper()}")


@pytest.mark.parametrize("field", Settings.model_fields)
def test_every_setting_is_documented(field: str) -> None:
    assert f"`{_variable(field)}`" in DOCS


@pytest.mark.parametrize("field", Settings.model_fields)
def test_the_tests_see_no_setting_of_the_machine(field: str) -> None:
    assert _variable(field) not in os.environ


def test_a_child_reads_the_same_settings_but_not_the_secrets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path, port=9000, lease_seconds=3, redis_url="redis://x:1/0")
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings
    settings = Settings(home=tmp_path, api_key="k" * 20, secret_access_key="k" * 20)
    assert "k" * 20 not in settings.environment().values()


@pytest.mark.parametrize(
    "values",
    [{"port": 0}, {"api_key": "short"}, {"storage_url": "ftp://bucket"}, {"threads": 0}],
    ids=str,
)
def test_an_invalid_setting_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings(**values)


@pytest.mark.parametrize("blank", ["", " ", "\t\n"])
def test_a_blank_variable_is_unset(monkeypatch: pytest.MonkeyPatch, blank: str) -> None:
    expected = Settings()
    for field in Settings.model_fields:
        monkeypatch.setenv(_variable(field), blank)
    assert Settings() == expected


def test_the_address_that_kubernetes_writes_into_kao_port_is_no_port(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KAO_PORT", "tcp://10.96.0.7:80")
    assert Settings().port == 8000


@pytest.mark.parametrize(
    ("text", "size"),
    [("1000", 1000), ("500MB", 500 * 10**6), ("2GiB", 2 * 2**30), ("1.5 kB", 1500)],
)
def test_a_size_may_have_a_unit(monkeypatch: pytest.MonkeyPatch, text: str, size: int) -> None:
    monkeypatch.setenv("KAO_MAX_UPLOAD_BYTES", text)
    assert Settings().max_upload_bytes == size


@pytest.mark.parametrize(
    ("field", "text", "reason"),
    [
        ("cache_bytes", "much", "500MB"),
        ("cache_bytes", "-1", "500MB"),
        ("limit_calls", "600", "as 600/minute"),
        ("limit_calls", "600/minute\n", "as 600/minute"),
    ],
)
def test_a_wrong_size_or_rate_says_how_to_write_one(field: str, text: str, reason: str) -> None:
    values: dict[str, Any] = {field: text}
    with pytest.raises(ValidationError, match=reason):
        Settings(**values)


def test_a_home_of_any_name_has_its_database_inside(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / ODD)
    engine = connect(settings)
    migrate(engine)
    engine.dispose()
    assert [path.name for path in tmp_path.iterdir()] == [ODD]
    assert (settings.home / "kao.db").stat().st_size > 0


def test_a_home_of_any_name_has_its_queue_inside(tmp_path: Path) -> None:
    settings = Settings(home=Path("/srv") / ODD)
    pool = redis.from_url(settings.redis).connection_pool
    assert pool.connection_kwargs["path"] == str(settings.redis_socket)
    scheme, *_, path, _ = url_to_parts(settings.broker.removeprefix("redis+"))
    assert (scheme, f"/{path}") == ("socket", str(settings.redis_socket))


def test_a_storage_url_is_decoded(tmp_path: Path) -> None:
    assert Settings(storage_url="file:///srv/a%20b").storage == Path("/srv/a b")


def test_a_database_url_names_our_driver_and_keeps_its_password() -> None:
    url = url_of(Settings(database_url="postgres://u:p%40ss@h/kao"))
    assert isinstance(url, sa.URL)
    assert (url.drivername, url.password) == ("postgresql+psycopg", "p@ss")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(None, 0o700, id="new"),
        pytest.param(0o755, 0o700, id="readable-by-all"),
        pytest.param(0o700, 0o700, id="private"),
        pytest.param(0o775, 0o770, id="shared-with-a-group"),
        pytest.param(0o2770, 0o2770, id="shared-set-gid"),
    ],
)
def test_a_home_is_private(tmp_path: Path, before: int | None, after: int) -> None:
    home = tmp_path / "home"
    if before is not None:
        home.mkdir()
        home.chmod(before)
    connect(Settings(home=home)).dispose()
    assert home.stat().st_mode & 0o7777 == after
    assert (home / "kao.db").stat().st_mode & 0o777 == after & 0o660


def test_a_database_that_others_could_read_becomes_private(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    engine = connect(settings)
    migrate(engine)
    engine.dispose()
    (settings.home / "kao.db").chmod(0o644)
    engine = connect(settings)
    with engine.begin():
        modes = {path.stat().st_mode & 0o777 for path in settings.home.glob("kao.db*")}
    engine.dispose()
    assert modes == {0o600}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_URL", "nonsense"),
        ("DATABASE_URL", "mysql://user@host/kao"),
        ("DATABASE_URL", "/var/lib/kao.db"),
        ("DATABASE_URL", "postgresql+asyncpg://user@host/kao"),
        ("DATABASE_URL", "postgres+psycopg://user@host/kao"),
        ("REDIS_URL", "redis://host:abc"),
        ("REDIS_URL", "host:6379"),
        ("REDIS_URL", "http://host:6379"),
    ],
)
def test_an_address_that_cannot_be_used_is_named_at_once(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValidationError, match=f"{variable} must be"):
        Settings()


def test_a_secret_may_be_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, text in {"DATABASE_URL": "sqlite:////a b.db\n", "KAO_API_KEY": "k" * 16}.items():
        (tmp_path / name).write_text(text)
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))
    settings = Settings(home=tmp_path)
    assert (settings.database_url, settings.api_key) == ("sqlite:////a b.db", "k" * 16)
    monkeypatch.setenv("DATABASE_URL", "sqlite:///own.db")
    assert Settings(home=tmp_path).database_url == "sqlite:///own.db"


@pytest.mark.parametrize(
    "variable", ["KAO_API_KEY", "DATABASE_URL", "REDIS_URL", "STORAGE_URL", "KAO_PORT"]
)
@pytest.mark.parametrize("fault", ["missing", "folder", "utf-16", "a-file-as-folder"])
def test_a_secret_that_cannot_be_read_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, fault: str
) -> None:
    path = tmp_path / fault
    if fault == "folder":
        path.mkdir()
    elif fault == "utf-16":
        path.write_text("redis://host", encoding="utf-16")
    elif fault == "a-file-as-folder":
        path.write_text("")
        path /= "secret"
    monkeypatch.setenv(f"{variable}_FILE", str(path))
    with pytest.raises(KaoError, match=rf"{variable}_FILE names .*{fault}.*, which cannot be read"):
        Settings(home=tmp_path)


@pytest.mark.parametrize("content", ["", "\n", " \n", "\t\r\n"])
def test_a_blank_file_of_a_secret_is_unset(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str
) -> None:
    (tmp_path / "blank").write_text(content)
    monkeypatch.setenv("KAO_API_KEY_FILE", str(tmp_path / "blank"))
    assert Settings(home=tmp_path).api_key is None


@pytest.mark.parametrize("content", [b"%s\n", b"%s\r\n", b"%s", b"\xef\xbb\xbf%s\r\n", b"%s\n\n"])
def test_line_ends_and_a_byte_order_mark_are_no_part_of_a_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "secret").write_bytes(content % (b"k" * 16))
    monkeypatch.setenv("KAO_API_KEY_FILE", str(tmp_path / "secret"))
    assert Settings(home=tmp_path).api_key == "k" * 16


def test_a_trusted_ipv4_proxy_is_known_in_its_ipv6_form() -> None:
    settings = Settings(trusted_proxies="10.0.0.0/8, 203.0.113.7, fd00::/8")
    networks = [ipaddress.ip_network(text) for text in settings.trusted_networks]
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "::ffff:203.0.113.7", "fd00::1"):
        assert any(ipaddress.ip_address(address) in network for network in networks), address
    for address in ("11.1.2.3", "::ffff:11.1.2.3", "203.0.113.8"):
        assert not any(ipaddress.ip_address(address) in network for network in networks), address
    assert Settings().trusted_networks == []
