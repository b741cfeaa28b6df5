"""What browsers, proxies and other sites may expect of any server."""

import hashlib
import json
from email.utils import parsedate_to_datetime

import pytest
from starlette.testclient import TestClient

from app.http import cache_headers
from tests.support.pictures import decode

MD5 = hashlib.md5(b"ada@example.com").hexdigest()
FIREFOX = "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"
SAFARI = (
    "image/webp,image/avif,image/jxl,image/heic,image/heic-sequence,video/*;q=0.8,image/png,"
    "image/svg+xml,image/*;q=0.8,*/*;q=0.5"
)
CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
PICTURES = ["/avatar?seed=a&size=32", "/og?seed=a", "/sheet?count=2&size=16"]


# --- Conditional requests


@pytest.mark.parametrize("path", PICTURES)
def test_a_picture_has_the_date_of_its_model(client: TestClient, path: str) -> None:
    first = client.get(path)
    card = client.get("/models/default").json()["card"]
    assert first.headers["last-modified"] == cache_headers.format_time(card["created"])
    for _ in range(2):
        since = {"If-Modified-Since": first.headers["last-modified"]}
        assert client.get(path, headers=since).status_code == 304
    older = {"If-Modified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"}
    newer = {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}
    # After a rollback the model is older than what the client has.
    for headers in (older, newer, {**since, "If-None-Match": '"other"'}):
        assert client.get(path, headers=headers).status_code == 200


def test_a_date_is_read_in_every_format_of_http(client: TestClient) -> None:
    path = PICTURES[0]
    date = parsedate_to_datetime(client.get(path).headers["last-modified"])
    formats = {
        "%A, %d-%b-%y %H:%M:%S GMT": 304,  # RFC 850
        "%a %b %d %H:%M:%S %Y": 304,  # asctime
        "%a, %d %b %Y %H:%M:%S +0000": 304,
        "%a, %d %b %Y %H:%M:%S GMT; length=4": 304,
        "%Y-%m-%dT%H:%M:%SZ": 200,
        "%a, %d %b %Y %H:%M:%S +0900": 200,
        "Fri, 99 Nov 2026 99:99:99 GMT": 200,
        "0": 200,
        "": 200,
    }
    for format, status in formats.items():
        answer = client.get(path, headers={"If-Modified-Since": date.strftime(format)})
        assert answer.status_code == status, format


@pytest.mark.parametrize("suffix", ["", "-gzip", "-br", "--gzip", ";gzip", "-zstd", ":br", "+gzip"])
@pytest.mark.parametrize("weak", ["W/", ""])
def test_an_etag_with_a_proxys_suffix_is_the_same(
    client: TestClient, suffix: str, weak: str
) -> None:
    etag = client.get(PICTURES[0]).headers["etag"].removeprefix("W/").strip('"')
    headers = {"If-None-Match": f'"other", {weak}"{etag}{suffix}"'}
    assert client.get(PICTURES[0], headers=headers).status_code == 304


@pytest.mark.parametrize("suffix", ["", "x", "-gzip", "-gz"])
def test_another_etag_is_another(client: TestClient, suffix: str) -> None:
    etag = client.get(PICTURES[0]).headers["etag"].removeprefix("W/").strip('"')
    # The tests' model, and with it the ETag, differs from machine to machine.
    other_digit = "1" if etag[-1] != "1" else "2"
    headers = {"If-None-Match": f'"{etag[:-1]}{other_digit}{suffix}"'}
    assert client.get(PICTURES[0], headers=headers).status_code == 200


@pytest.mark.parametrize(
    "path", ["/models/default/samples.png", "/models/default/bundle.zip", "/local/engine.js"]
)
def test_files_are_sent_again_only_where_they_changed(
    client: TestClient, key: dict[str, str], versions: list[str], path: str
) -> None:
    first = client.get(path, headers=key)
    etag = first.headers["etag"]
    for text in (etag, f'"other", {etag}', f'{etag[:-1]}-gzip"', etag.removeprefix("W/"), "*"):
        answer = client.get(path, headers={**key, "If-None-Match": text})
        assert (answer.status_code, answer.content) == (304, b""), text
        assert answer.headers["etag"] == etag
    if "last-modified" in first.headers:
        since = {**key, "If-Modified-Since": first.headers["last-modified"]}
        assert client.get(path, headers=since).status_code == 304
    assert client.get(path, headers={**key, "If-None-Match": '"other"'}).status_code == 200
    client.post(f"/models/{versions[1]}/promote?force=true", headers=key)
    new_answer = client.get(path, headers={**key, "If-None-Match": etag})
    assert new_answer.status_code == (304 if path.startswith("/local") else 200)


# --- Addresses as others pass them on


@pytest.mark.parametrize(
    "suffix",
    [
        "utm_source=newsletter&utm_medium=email",
        "fbclid=IwAR0",
        "gclid=x&_ga=2.1",
        "_=1700000000000",
        "v=2",
        "v=2&v=3",
        "t=1",
        "ver=6.4",
        "mc_cid=a&mc_eid=b",
        "utm_term=%FF",
        "UTM_Source=x",
        "1700000000",
        "mkt_tok=x&__hstc=y&_hsenc=z",
        "srsltid=x&gclsrc=y&wbraid=z&gbraid=z",
        "pk_campaign=a&mtm_source=b&matomo_kwd=c",
        "igsh=a&igshid=b&mibextid=c",
        "ref=producthunt&trk=x&spm=1",
        "vero_id=a&oly_enc_id=b&ml_subscriber=c&s_cid=d",
        "li_fat_id=a&epik=b&ScCid=c&ttclid=d&twclid=e&rdt_cid=f&hsa_acc=1&gad_source=1&elqTrackId=y",
        "sfmc_id=a&wickedid=b&guce_referrer=c&irclickid=d&fb_ref=a&__cft__%5B0%5D=b&wt.mc_id=e",
    ],
)
@pytest.mark.parametrize("path", ["/avatar?seed=a&", "/avatar/a.png?", "/og?seed=a&"])
def test_tracking_never_breaks_a_picture(client: TestClient, path: str, suffix: str) -> None:
    answer = client.get(f"{path}{suffix}")
    assert answer.status_code == 200, answer.text
    plain = client.get(path.rstrip("?&"))
    assert answer.headers["etag"] == plain.headers["etag"]
    assert answer.content == plain.content


def test_tracking_parameters_of_a_picture_keep_their_meaning(client: TestClient) -> None:
    assert client.get("/morph?from=a&to=b&t=0.5").headers["content-type"] == "image/png"
    assert client.get("/morph?from=a&to=b&t=2").status_code == 422
    assert client.get("/morph?from=a&to=b&t=0&t=1").status_code == 422
    for typing_error in ("colour=red", "at=0.5", "sizes=2", "psi_=1", "hair=pink"):
        assert client.get(f"/avatar?seed=a&{typing_error}").status_code == 422, typing_error
    assert client.get("/models?utm_source=x").status_code == 200


@pytest.mark.parametrize("path", ["/avatar/a.png/", "/avatar/a.png//?", "/avatar/a.png?&=&=x"])
def test_a_slash_or_a_field_without_a_name_at_the_end_changes_nothing(
    client: TestClient, path: str
) -> None:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.content == client.get("/avatar/a.png").content


def test_an_address_that_was_escaped_twice_is_the_same(client: TestClient) -> None:
    plain = client.get("/avatar?seed=a&size=64&format=png")
    escaped_answer = client.get("/avatar?seed=a&amp;size=64&amp;format=png")
    assert escaped_answer.headers["etag"] == plain.headers["etag"]
    assert client.get("/avatar?seed=a&size=64&amp;size=32").status_code == 422


@pytest.mark.parametrize(
    ("path", "seed", "side"),
    [
        pytest.param(f"/avatar/{MD5}/?s=90", MD5, 90, id="django-avatar"),
        pytest.param(f"/avatar/{MD5}/", MD5, 80, id="trailing-slash"),
        pytest.param(f"/avatar//{MD5}?s=90", MD5, 90, id="double-slash"),
        pytest.param(f"//avatar/{MD5}?s=90", MD5, 90, id="double-slash-first"),
        pytest.param(f"/avatar/{MD5.upper()}.jpg?s=90", MD5, 90, id="capitals"),
        pytest.param(f"/avatar/{MD5}?d=mm&amp;s=90", MD5, 90, id="html-escaped"),
        pytest.param(f"/avatar/{MD5}&s=90&d=mm", MD5, 90, id="query-without-question-mark"),
        pytest.param(f"/avatar/{MD5};s=90", MD5, 90, id="semicolon-for-question-mark"),
        pytest.param(f"/avatar/{MD5}?d=mm;s=90;r=g", MD5, 90, id="semicolons, PHP's separator"),
        pytest.param(f"/avatar/{MD5}.png&amp;s=90", MD5, 90, id="the-same-with-an-extension"),
        pytest.param(f"/avatar/{MD5}%3Fs=90", MD5, 90, id="escaped-question-mark"),
        pytest.param(f"/avatar/%20{MD5}%0A?s=90", MD5, 90, id="spaces-around"),
        pytest.param(f"/avatar.php?gravatar_id={MD5}&size=90", MD5, 90, id="first-address"),
        pytest.param(
            f"/avatar.php?default=x&amp;size=90&amp;gravatar_id={MD5}", MD5, 90, id="first-escaped"
        ),
        pytest.param(f"/avatar/?gravatar_id={MD5.upper()}&s=90", MD5, 90, id="Gravatar-URL.pm"),
        pytest.param(f"/avatar?gravatar_id={MD5}&d=mm", MD5, 80, id="without-slash"),
        pytest.param("/avatar/?seed=ada&size=64", "ada", 64, id="slash-before-query"),
    ],
)
def test_gravatars_clients_get_the_face_of_the_hash(
    client: TestClient, path: str, seed: str, side: int
) -> None:
    # As a client sends it: httpx would read `//avatar` as a host.
    answer = client.get(f"http://testserver{path}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-avatar-seed"] == seed
    assert decode(answer.content).shape[:2] == (side, side)


@pytest.mark.parametrize("path", ["/avatar/", "/avatar//", "/avatar.php"])
@pytest.mark.parametrize("query", ["", "s=64&d=mm&r=g", "d=mm", "d=https://a.example/b.png"])
def test_a_person_without_an_address_gets_the_average_face(
    client: TestClient, path: str, query: str
) -> None:
    answer = client.get(f"http://testserver{path}?{query}", follow_redirects=False)
    side = 64 if "s=64" in query else 80
    average = client.get(f"/avatar?seed=x&psi=0&size={side}")
    assert (decode(answer.content) == decode(average.content)).all()


def test_a_person_without_an_address_may_have_no_picture(client: TestClient) -> None:
    assert client.get("/avatar/?d=404").status_code == 404
    assert client.get("/avatar/?d=blank").status_code == 200
    assert client.get("/avatar/?d=identicon").headers["x-avatar-seed"] == ""


def test_a_hash_takes_the_look_of_other_faces(client: TestClient) -> None:
    query = "s=64&shape=circle&dpr=2&psi=0.5&variant=1&format=webp"
    face = client.get(f"/avatar/{MD5}?{query}")
    expected = client.get(f"/avatar?seed={MD5}&size=64&{query.partition('&')[2]}")
    assert face.headers["etag"] == expected.headers["etag"]
    # Invalid values are ignored there, as all of Gravatar's.
    odd = client.get(f"/avatar/{MD5}?s=1000&dpr=4&shape=star&psi=9&format=tiff")
    assert decode(odd.content).shape[:2] == (1000, 1000)


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        pytest.param(FIREFOX, "image/webp", id="firefox"),
        pytest.param(SAFARI, "image/webp", id="safari"),
        pytest.param(CHROME, "image/webp", id="chrome"),
        pytest.param("*/*", "image/png", id="anything"),
        pytest.param("image/png,image/jpeg", "image/png", id="no-webp"),
        pytest.param("image/webp;q=0.5,image/png", "image/png", id="prefers-png"),
        pytest.param("image/webp;q=0,image/*", "image/png", id="refuses-webp"),
        pytest.param("image/webp;q=0", "image/png", id="refuses-webp-alone"),
        pytest.param("image/png;q=0", "image/webp", id="refuses-png-alone"),
        pytest.param("image/png;q=-1,image/webp;q=", "image/jpeg", id="no-qualities"),
        pytest.param("*/*;q=0", "image/png", id="refuses-all"),
        pytest.param("image/webp; q = 0.5, image/png;q=0.6", "image/png", id="spaces"),
    ],
)
def test_browsers_get_webp(client: TestClient, accept: str, media_type: str) -> None:
    answer = client.get("/avatar?seed=a", headers={"Accept": accept})
    assert answer.headers["content-type"] == media_type


# --- Bodies without a type


@pytest.mark.parametrize("media_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_the_error_for_json_without_its_media_type_names_the_header(
    client: TestClient, key: dict[str, str], media_type: str | None
) -> None:
    headers = {**key, **({"Content-Type": media_type} if media_type else {})}
    answer = client.post("/train", content=json.dumps({"preset": "smoke"}), headers=headers)
    assert answer.status_code == 422
    assert "Content-Type: application/json" in answer.json()["detail"]
