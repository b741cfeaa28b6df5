"""Types of what the fixtures give."""

from collections.abc import Callable

Upload = Callable[[str, dict[str, bytes]], None]
