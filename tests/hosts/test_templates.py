"""Each host's address template, expanded as that host does, gets the right face.

The templates are read from docs/hosts, so that the pages cannot say anything else.
"""

import hashlib
import random
import re
import string
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

import pytest

from app.avatars import gravatar
from app.avatars.request import picture_request
from app.avatars.request.picture_request import PictureRequest
from app.avatars.request.picture_types import AVATAR
from app.errors import UnknownExtension

DOCS = Path(__file__).parents[2] / "docs" / "hosts"
HOST = "https://faces.example"
COUNT = 1000
ODD = [
    "",
    " ",
    "a b",
    "john.doe",
    "a.b.png",
    "顔",
    "Ädä",
    "a%20b",
    "100%",
    "a+b",
    "a&b",
    "a#b",
    "a/b",
]
ODD += [
    "..",
    "ADA",
    "o'neill",
    '"',
    "<b>",
    "a=b",
    "?",
    "\u202e",
    "👩‍💻",
    "x" * 64,
    "a,b:c",
    "-",
    "_",
]


def awkward_names(alphabet: str = "") -> list[str]:
    """COUNT different names, odd ones first; only of the alphabet where one is given."""
    source = random.Random(7)
    letters = alphabet or string.printable[:95] + "äßéñçøłğ顔名前字一二三абвгд🦊🎨\u0301\u200d"
    names = [] if alphabet else list(ODD)
    while len(set(names)) < COUNT:
        names.append("".join(source.choices(letters, k=source.randint(1, 24))))
    return list(dict.fromkeys(names))[:COUNT]


def md5(name: str) -> str:
    """The MD5 of an address made of a name, as hosts compute it."""
    return hashlib.md5(f"{name}@Example.com".strip().lower().encode()).hexdigest()


def sha256(name: str) -> str:
    """The SHA-256 of the same."""
    return hashlib.sha256(f"{name}@Example.com".strip().lower().encode()).hexdigest()


def template(page: str, pattern: str) -> str:
    """The address on a page that matches a pattern; there must be exactly one."""
    mentions = set(re.findall(pattern, (DOCS / page).read_text()))
    assert len(mentions) == 1, (page, mentions)
    return str(mentions.pop())


# --- How each host expands its template


def gitlab(name: str) -> str:
    """`sprintf` of Ruby, each value percent-encoded (GravatarService)."""
    text = template("gitlab.md", r'gravatar_ssl_url\'\] = "([^"]+)"')
    values = {"hash": sha256(name), "size": "160", "email": quote(name), "username": quote(name)}
    return re.sub(r"%\{(\w+)\}", lambda match: values[match[1]], text)


def gitea(name: str) -> str:
    """`path.Join` of the source's path and the hash; default and size as query."""
    text = template("gitea.md", r"GRAVATAR_SOURCE = (\S+)").rstrip("/")
    return f"{text}/{md5(name)}?{urlencode({'d': 'identicon', 's': '84'})}"


def discourse(name: str) -> str:
    """`gsub` of each word, the name through encode_component; the browser fills in the size."""
    text = template("discourse.md", r"    (https://\S+\{username\}\S+)")
    return text.replace("{username}", quote(name, safe="")).replace("{size}", "96")


def authentik(name: str) -> str:
    """Python's `%`, without any encoding."""
    text = template("authentik.md", r"    (https://\S+mail_hash\S+)")
    return text % {"username": name, "mail_hash": md5(name), "upn": name}


def bookstack(name: str) -> str:
    """`strtr` of PHP; the address of the person through urlencode."""
    text = template("bookstack.md", r"AVATAR_URL=(\S+)")
    values = {"${hash}": md5(name), "${email}": quote(name), "${size}": "500"}
    for word, value in values.items():
        text = text.replace(word, value)
    return text


def rocketchat(name: str) -> str:
    """`replace` of JavaScript, the name as it is."""
    text = template("rocketchat.md", r"    (https://\S+\{username\}\S+)")
    return text.replace("{username}", name)


def wordpress(name: str) -> str:
    """The page's filter over Gravatar's address, which has no hash without an e-mail address."""
    hash = sha256(name) if name.strip() else ""
    url = f"https://secure.gravatar.com/avatar/{hash}?{urlencode({'s': 96, 'd': 'mm', 'r': 'g'})}"
    page = (DOCS / "wordpress.md").read_text()
    match = re.search(r"preg_replace\('~(.+?)~', '(.+?)'", page)
    assert match is not None
    return re.sub(match[1], match[2], url)


def openid(name: str) -> str:
    """The address of a claim, with the seed percent-encoded."""
    text = template("openid.md", r"`(https://\S+\?seed=ADDRESS\S+)`")
    return text.replace("ADDRESS", quote(name, safe=""))


def django_avatar(name: str) -> str:
    """`avatar/%s/?%s` below the base address (jazzband/django-avatar)."""
    base = template("gravatar.md", r'AVATAR_GRAVATAR_BASE_URL = "(\S+)"')
    return f"{base}{md5(name)}/?{urlencode({'s': '80'})}"


def perl(name: str) -> str:
    """Gravatar::URL and Template::Plugin::Gravatar of CPAN: the hash is a parameter."""
    base = template("gravatar.md", r'AVATAR_GRAVATAR_BASE_URL = "(\S+)"')
    return f"{base}?{urlencode({'gravatar_id': md5(name), 'rating': 'R', 'size': 50})}"


def first_address(name: str) -> str:
    """Gravatar's first address, escaped for HTML (WordPress themes of the time)."""
    base = template("gravatar.md", r'AVATAR_GRAVATAR_BASE_URL = "(\S+)"').rstrip("/")
    return f"{base}.php?gravatar_id={md5(name)}&amp;size=30&amp;default={quote(name, safe='')}"


def daptin(name: str) -> str:
    """`avatar/%s&d=monsterid`: a query without its question mark (daptin)."""
    base = template("gravatar.md", r'AVATAR_GRAVATAR_BASE_URL = "(\S+)"')
    return f"{base}{md5(name)}&d=monsterid"


@dataclass(frozen=True)
class Host:
    """One host: how it makes an address, the seed that it means, the pixels that it asks for."""

    expand: Callable[[str], str]
    seed: Callable[[str], str]
    side: int
    alphabet: str = ""


def itself(name: str) -> str:
    """The seed of hosts that send user names."""
    return name


HOSTS = {
    "gitlab": Host(gitlab, sha256, 160),
    "gitea": Host(gitea, md5, 84),
    "discourse": Host(discourse, itself, 96),
    "authentik": Host(authentik, md5, 158),
    "bookstack": Host(bookstack, md5, 500),
    # Its own pattern of user names.
    "rocketchat": Host(rocketchat, itself, 200, string.ascii_letters + string.digits + "-_."),
    "wordpress": Host(wordpress, sha256, 96),
    "openid": Host(openid, itself, 256),
    "django-avatar": Host(django_avatar, md5, 80),
    "perl": Host(perl, md5, 50),
    "first-address": Host(first_address, md5, 30),
    "daptin": Host(daptin, md5, 80),
}


def resolve(url: str) -> PictureRequest:
    """The picture that an address means to the app's own routes, without drawing it."""
    assert url.startswith(f"{HOST}/"), url
    # What a browser sends: everything but ASCII percent-encoded, the fragment left out.
    parts = urlsplit(quote(url, safe=string.printable[:94]))
    raw = parts.path.encode()
    query = parts.query.encode()
    if parts.path == "/avatar":
        return picture_request.parse_query(AVATAR, query, "image/webp")[0]
    name = raw.partition(b"/avatar/")[2]  # empty for /avatar.php
    if (address := gravatar.read_address(name.decode(), query)) is not None:
        picture = gravatar.parse_gravatar(address, "image/webp")
        assert isinstance(picture, PictureRequest)
        return picture
    return picture_request.parse_path(name, query, "image/webp")


@pytest.fixture(params=HOSTS)
def host(request: pytest.FixtureRequest) -> Host:
    """Each host."""
    host_row: Host = HOSTS[request.param]
    return host_row


def test_every_awkward_name_gets_its_own_face(host: Host) -> None:
    faces = {}
    for name in awkward_names(host.alphabet):
        if host.expand is wordpress and not name.strip():
            continue
        if host.seed is itself and host.expand is discourse and not name:
            continue  # a user has a name
        picture = resolve(host.expand(name))
        assert picture.seed == host.seed(name), (name, host.expand(name))
        assert picture.face_size == host.side
        faces[name] = picture.seed
    assert len(faces) > COUNT - 5
    # Addresses of people differ by more than capitals and spaces at their ends.
    keys = {host.seed(name) for name in faces}
    assert len(set(faces.values())) == len(keys)


def test_wordpress_without_an_address_gets_the_average_face() -> None:
    picture = resolve(wordpress(""))
    assert (picture.values["psi"], picture.face_size) == (0.0, 96)


def test_a_dot_in_a_bare_path_is_the_trap_that_the_page_warns_of() -> None:
    with pytest.raises(UnknownExtension):
        resolve(f"{HOST}/avatar/john.doe")


def test_every_page_of_a_host_is_listed() -> None:
    pages = {path.name for path in DOCS.glob("*.md")} - {"README.md"}
    listed_pages = set(re.findall(r"\]\((\w+\.md)\)", (DOCS / "README.md").read_text()))
    assert pages == listed_pages
    for page in pages:
        text = (DOCS / page).read_text()
        assert "**Seen:**" in text, page
        assert "**Caching:**" in text, page
