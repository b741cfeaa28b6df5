"""Sentences of the server are Chinese where the page is: every error has a translation."""

import ast
import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app import problems
from app.studio import sentences
from worker.training import later_stages

ROOT = Path(sentences.__file__).parents[2]
# Pages show what these rooms raise; not what commands of a terminal and refused settings say.
ROOMS = ("app", "models", "worker")
COMMANDS = (
    "gpu_check.py",
    "maintenance",
    "settings.py",
    "bootstrap.py",
    "database",
    "opentelemetry.py",
    "storage",
    "snapshots.py",
)
INTERNAL = (
    "ValueError",
    "OSError",
    "RuntimeError",
    "AssertionError",
    "FileNotFoundError",
    "TypeError",
)
ENGLISH = re.compile(r"[A-Za-z][a-z]+(?: [a-z]+){2,}")
CHINESE = {"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"}


def literal(node: ast.expr) -> str | None:
    """The text of a literal or an f-string; values in it become X."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = (part.value if isinstance(part, ast.Constant) else "X" for part in node.values)
        return "".join(map(str, parts))
    return None


def messages() -> Iterator[tuple[str, str]]:
    """(place, sentence) of every error that these rooms raise with a literal text."""
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            place = str(path.relative_to(ROOT))
            if any(part in place for part in COMMANDS):
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.Raise) or not isinstance(node.exc, ast.Call):
                    continue
                if ast.unparse(node.exc.func) in INTERNAL and not place.endswith("recipe.py"):
                    continue
                for text in filter(None, map(literal, node.exc.args)):
                    if ENGLISH.search(text) and "KAO_API_KEY still" not in text:
                        yield f"{place}:{node.lineno}", text


def sentences_of_runs() -> Iterator[tuple[str, str]]:
    """(place, sentence) of what a worker writes, other than as an error: events and warnings."""
    for path in sorted((ROOT / "worker").rglob("*.py")):
        place = str(path.relative_to(ROOT))
        tree = ast.parse(path.read_text(encoding="utf-8"))
        others = {
            part
            for node in ast.walk(tree)
            if isinstance(node, ast.Raise | ast.Expr | ast.JoinedStr)
            for part in (ast.walk(node) if isinstance(node, ast.Raise) else _constants(node))
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.expr) or node in others:
                continue
            text = literal(node)
            if text and re.match("[A-Z]", text) and ENGLISH.search(text) and text.endswith("."):
                yield f"{place}:{node.lineno}", text


def _constants(node: ast.Expr | ast.JoinedStr) -> list[ast.expr]:
    return [node.value] if isinstance(node, ast.Expr) else node.values


def is_chinese(text: str | None) -> bool:
    return re.search("[\u4e00-\u9fff]", text or "") is not None


def test_every_error_has_a_translation() -> None:
    rows = list(messages())
    assert [row for row in rows if not is_chinese(sentences.translate(row[1], "zh"))] == []
    assert len(rows) > 80


def test_every_sentence_of_a_run_has_a_translation() -> None:
    rows = list(sentences_of_runs())
    assert [row for row in rows if not is_chinese(sentences.translate(row[1], "zh"))] == []
    assert len(rows) > 5


def test_translations_keep_their_placeholders_and_are_chinese() -> None:
    for text, translation in sentences.texts_of("zh").items():
        names = (set(re.findall(r"{(\w+)}", each)) for each in (text, translation))
        assert len(set(map(frozenset, names))) == 1, text
        assert is_chinese(translation) or not ENGLISH.search(translation), text


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        pytest.param(
            "'size' is 'abc'; allowed: a whole number from 16 to 1024.",
            "'size' 是 'abc'；可用：16 到 1024 的整数。",
            id="parameter",
        ),
        pytest.param(
            "There is no run 'a'. GET /train lists the runs.",
            "没有训练 'a'。所有训练见 GET /train。",
            id="with a hint",
        ),
        pytest.param(
            "The recipe cannot be used: minutes: Input should be greater than 0 (allowed: above 0 "
            "to 100); name: is not a field of a recipe; docs/training.md lists them.",
            "配方不可用：minutes: 应大于 0（可用：大于 0，最多 100）；"
            "name: 不是配方的字段；所有字段见 docs/training.md。",
            id="several fields",
        ),
    ],
)
def test_sentences_within_sentences_are_translated(english: str, chinese: str) -> None:
    assert sentences.translate(english, "zh") == chinese


def test_every_sentence_has_the_translation_of_its_own() -> None:
    for text, translation in sentences.texts_of("zh").items():
        values = dict.fromkeys(re.findall(r"\{(\w+)\}", text), "Q7")
        assert sentences.translate(text.format(**values), "zh") == translation.format(**values)


def test_a_part_of_a_sentence_is_translated() -> None:
    values = {"before": 41.25, "after": 43.5, "pictures": later_stages.MATCHING.pictures}
    assert sentences.translate(later_stages.NOT_BETTER.format(**values), "zh") == (
        "生成器保持不变：学习标签对应的图片之前 FD 是 41.2，之后是 43.5。"
    )


def test_what_is_unknown_or_long_stays_as_it_is() -> None:
    assert sentences.translate("Nothing like this is in the catalogue.", "zh") is None
    assert sentences.translate(f"There is no run {'x' * 3000}.", "zh") is None
    assert sentences.translate("There is no run 'a'.", "en") is None


def test_problem_documents_follow_the_language_of_the_request(client: TestClient) -> None:
    english = client.get("/avatar?size=abc")
    answer = client.get("/avatar?size=abc", headers=CHINESE)
    assert "content-language" not in english.headers
    assert answer.headers["content-language"] == "zh"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"].startswith("'size' 是 'abc'")
    assert {**answer.json(), "detail": ""} == {**english.json(), "detail": ""}
    assert client.head("/avatar?size=abc", headers=CHINESE).content == b""
    choice = {"Cookie": "kao_lang=en", **CHINESE}
    assert client.get("/avatar?size=abc", headers=choice).json() == english.json()


def test_problems_of_fields_are_translated_one_by_one(
    client: TestClient, key: dict[str, str]
) -> None:
    answer = client.post("/train", json={"preset": "smoke", "x": 1}, headers={**key, **CHINESE})
    assert answer.status_code == 422
    assert answer.json()["problems"] == [
        {"field": "x", "problem": "不是配方的字段；所有字段见 docs/training.md"}
    ]


def test_error_pages_have_no_english_sentence(client: TestClient) -> None:
    for path in ("/avatar?size=abc", "/nothing", "/train", "/models/nope/card", "/session"):
        page = client.get(path, headers={"Accept": "text/html", **CHINESE}).text
        main = page.partition("<main")[2].partition("<script")[0]
        assert 'lang="en"' not in main, path
        main = re.sub("<code>.*?</code>|<[^>]*>", "", main)
        assert not ENGLISH.search(html.unescape(main)), path


def test_a_runs_page_gets_the_sentences_of_events(client: TestClient) -> None:
    login = {"key": "kao_a-key-for-the-tests"}
    client.post("/session", json=login, headers={"Origin": "http://testserver"})
    address = "/studio/sentence?text=The disk is full; nothing was changed."
    assert client.get(address, headers=CHINESE).text == "磁盘已满；没有任何改动。"
    assert client.get(address).status_code == 204


@pytest.mark.parametrize("hint", problems.HINTS.values())
def test_every_hint_of_an_error_has_a_translation(hint: str) -> None:
    text = sentences.translate(f"There is no run 'a'. {hint}", "zh")
    assert text is not None
    assert not ENGLISH.search(re.sub("`[^`]*`|(GET|POST) /[a-z]+", "", text))


def _repeat_fixed_texts(parts: list[str]) -> str:
    """A sentence that a pattern of these parts can divide in many ways, none of which fits."""
    unit = "x".join(text for text in ("", *parts[2:-1:2], "") if text or len(parts) > 3)
    return (parts[0] + unit * sentences.LONGEST)[: sentences.LONGEST - 1] + "\0"


def test_the_time_of_a_translation_does_not_depend_on_what_a_client_wrote() -> None:
    """Regular expressions took over 3 s on the event loop for 2,000 characters of an error."""
    calls = 0

    class Counted(str):
        def find(self, *arguments: Any) -> int:
            nonlocal calls
            calls += 1
            return super().find(*arguments)

    most = sum(len(parts) for parts, _ in sentences._catalogue("zh"))
    for parts, _ in sentences._catalogue("zh"):
        calls = 0
        sentence = Counted(_repeat_fixed_texts(parts))
        sentences.translate(sentence, "zh")
        assert calls <= most


def test_what_a_client_nests_is_translated_a_few_times_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    translate, depths = sentences.translate, list[int]()

    def count(sentence: str, language: str, depth: int = 0) -> str | None:
        depths.append(depth)
        return translate(sentence, language, depth)

    monkeypatch.setattr(sentences, "translate", count)
    problems = [{"field": "a", "problem": "Field required"}] * 10_000
    nested = "The request is invalid: " + "a: b; allowed: " * 100 + "c."
    document = sentences.translate_problem({"detail": nested, "problems": problems}, "zh")
    assert len(document["problems"]) == len(problems)
    assert len(depths) < 10 * sentences.MOST_ITEMS


def test_a_body_with_thousands_of_errors_lists_the_first(client: TestClient) -> None:
    body = {f"x{number}": 1 for number in range(5000)}
    answer = client.post("/session", json=body, headers={**CHINESE, "Origin": "http://testserver"})
    assert answer.status_code == 422
    assert len(answer.json()["problems"]) == problems.MOST_PROBLEMS
    assert len(answer.content) < 10_000
