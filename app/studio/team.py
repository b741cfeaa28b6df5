"""The page that draws a face for each member of a team, from names or a CSV file."""

import csv
from collections.abc import Sequence
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from app.avatars.request import parameters
from app.studio.pages import render
from app.studio.playground import may_show_faces
from models.errors import KaoError

router = APIRouter(include_in_schema=False)

MOST_NAMES = 200
# The headings of a CSV file's column of names, in any case; without one, it is the first column.
HEADINGS = {"name", "full name", "email", "e-mail", "user", "username", "seed", "姓名", "名字"}
DELIMITERS = ("\t", ";", ",")


@router.get("/team")
def page(request: Request) -> Response:
    """Show the form, and the faces of `?names=`; without a right to see faces it says so."""
    return _render(request, request.query_params.get("names", ""))


@router.post("/team")
async def page_of_long_list(request: Request) -> Response:
    """The same for a form's body, with lists that proxies refuse in an address."""
    fields = parse_qs((await request.body()).decode(errors="replace"))
    return await run_in_threadpool(_render, request, fields.get("names", [""])[0])


def _render(request: Request, text: str) -> Response:
    if not may_show_faces(request):
        return render(request, "closed.html", "team", status=403)
    names = parse_names(text)
    return render(
        request,
        "team.html",
        "team",
        text=text,
        names=names[:MOST_NAMES],
        too_many=len(names) > MOST_NAMES,
        most=MOST_NAMES,
    )


def parse_names(text: str) -> list[str]:
    """Return the names in lines of text or CSV (RFC 4180), each once, in order.

    The delimiter is the first of tab, semicolon and comma that the first line has.
    """
    lines = [line for line in text.replace("\ufeff", "").splitlines() if line.strip()]
    if not lines:
        return []
    delimiter = next((mark for mark in DELIMITERS if mark in lines[0]), ",")
    try:
        rows = [row for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True) if row]
    except csv.Error:
        rows = [[line] for line in lines]
    column = _name_column(rows[0])
    if column is not None:
        rows = rows[1:]
    cells = (row[column or 0].strip() for row in rows if len(row) > (column or 0))
    return [name for name in dict.fromkeys(cells) if name and _is_seed(name)]


def _name_column(row: Sequence[str]) -> int | None:
    """The column of names where a row is the headings of a table, else None."""
    return next((n for n, cell in enumerate(row) if cell.strip().casefold() in HEADINGS), None)


def _is_seed(name: str) -> bool:
    try:
        parameters.SEED.value(name)
    except KaoError:
        return False
    return True
