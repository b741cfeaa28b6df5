"""Hosts' own code and language make the addresses, and the app finds the right face.

WordPress' get_avatar comes from its own files (Debian: php-cli, wordpress), GitLab's and
Discourse's templates are expanded by Ruby, and pylibravatar is what Libravatar's users install.
"""

import hashlib
import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import libravatar
import pytest

from tests.hosts.test_templates import COUNT, DOCS, HOST, awkward_names, resolve, template

HERE = Path(__file__).parent
WORDPRESS = Path("/usr/share/wordpress")  # Debian's package
pytestmark = pytest.mark.slow


def run(command: list[str], content: Any) -> Any:
    """The JSON that a program prints for JSON on its standard input."""
    text = json.dumps(content).encode()
    process = subprocess.run(command, input=text, capture_output=True, timeout=120, check=False)
    assert process.returncode == 0, process.stderr.decode()[-2000:]
    return json.loads(process.stdout)


def find_tool(name: str, package: str) -> str:
    """The path of a program; skips the test where it is missing."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"there is no {name} here: Debian's package is {package}")
    return path


def test_wordpress_shows_each_commenter_a_face_of_their_own() -> None:
    php = find_tool("php", "php-cli")
    if not (WORDPRESS / "wp-includes/pluggable.php").exists():
        pytest.skip(f"there is no WordPress in {WORDPRESS}: Debian's package is wordpress")
    plugin = re.search(r"```php\n(.+?)```", (DOCS / "wordpress.md").read_text(), re.DOTALL)
    assert plugin is not None
    addresses = [f"{name}@Example.com" for name in awkward_names()]
    content = {"plugin": plugin[1], "addresses": [*addresses, ""]}
    images = run([php, str(HERE / "wordpress.php"), str(WORDPRESS)], content)
    sources = [re.search(r"src='([^']+)'", image) for image in images]
    seeds = set()
    for address, source in zip(addresses, sources, strict=False):
        assert source is not None, address
        url = re.sub(r"^http:", "https:", html.unescape(source[1]))
        picture = resolve(url)
        # PHP lowers ASCII letters and trims ASCII spaces; SHA-256 from WordPress 6.8 on.
        text = address.encode().strip(b" \t\n\r\0\x0b").lower()
        assert picture.seed in (hashlib.md5(text).hexdigest(), hashlib.sha256(text).hexdigest())
        assert picture.face_size == 96
        seeds.add(picture.seed)
    assert len(seeds) == len({address.strip().lower() for address in addresses})
    assert sources[-1] is not None
    nobody = resolve(re.sub(r"^http:", "https:", html.unescape(sources[-1][1])))
    assert nobody.values["psi"] == 0.0


def test_ruby_expands_the_templates_of_gitlab_and_discourse() -> None:
    ruby = find_tool("ruby", "ruby")
    templates = [
        template("gitlab.md", r'gravatar_ssl_url\'\] = "([^"]+)"'),
        template("discourse.md", r"    (https://\S+\{username\}\S+)"),
    ]
    names = [name for name in awkward_names() if name]  # a user has a name
    rows = run([ruby, "-Ku", str(HERE / "templates.rb"), *templates], names)
    assert len(rows) > COUNT - 5
    for name, row in zip(names, rows, strict=True):
        gitlab, discourse = resolve(row["gitlab"]), resolve(row["discourse"])
        assert (gitlab.seed, gitlab.face_size) == (row["hash"], 160)
        assert (discourse.seed, discourse.face_size) == (name, 96)


def test_pylibravatar_gets_the_face_of_each_address(monkeypatch: pytest.MonkeyPatch) -> None:
    # Libravatar finds a domain's server by DNS; this one's record names the host.
    server = urlsplit(HOST).netloc
    monkeypatch.setattr(libravatar, "lookup_avatar_server", lambda *_: server)
    for name in awkward_names("abcXYZ019.-_+"):
        url = urlsplit(libravatar.libravatar_url(f"{name}@Example.com", https=True, size=64))
        picture = resolve(urlunsplit(url._replace(netloc=server)))
        expected = hashlib.md5(f"{name}@Example.com".lower().encode()).hexdigest()
        assert (picture.seed, picture.face_size) == (expected, 64)
