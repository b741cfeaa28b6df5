"""Line charts, drawn by pygal.

pygal installs an import hook of Python 2's kind to find plugins, of which Kao has none. Python
3.11 warns about such a hook at every failed import, so it is removed here.
"""

import sys
from typing import Any, Literal

import pygal
from fastapi import Response
from pygal.style import Style

from app.headers import NO_SNIFF

sys.meta_path[:] = [
    finder for finder in sys.meta_path if not isinstance(finder, pygal.PluginImportFixer)
]

Theme = Literal["light", "dark"]

# Contrast of at least 3:1 (WCAG 1.4.11), distinct for colour-blind readers (Okabe and Ito, 2008).
COLOURS = {
    "light": ("#bf3420", "#0072b2", "#00795a", "#a14f84"),
    "dark": ("#ff8069", "#56b4e9", "#35c79b", "#d99bc0"),
}
INK = {"light": ("#615c53", "#e2ded4"), "dark": ("#aba59b", "#36333a")}
# An SVG that is opened as a document may use its own styles and nothing else.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


def response(chart: Any, cache_control: str) -> Response:
    """A chart as an SVG response."""
    headers = {"Cache-Control": cache_control, "Content-Security-Policy": POLICY, **NO_SNIFF}
    return Response(chart.render(is_unicode=True), headers=headers, media_type="image/svg+xml")


def chart(theme: Theme, width: int, height: int, lines_per_colour: int = 1) -> Any:
    """An empty chart of that many pixels; consecutive lines may share a colour."""
    ink, line = INK[theme]
    style = Style(
        background="transparent",
        plot_background="transparent",
        foreground=ink,
        foreground_strong=ink,
        foreground_subtle=line,
        colors=tuple(colour for colour in COLOURS[theme] for _ in range(lines_per_colour)),
        font_family="ui-sans-serif, system-ui, sans-serif",
        stroke_width="2",
        stroke_opacity="1",
        label_font_size=12,
        major_label_font_size=12,
        guide_stroke_color=line,
        major_guide_stroke_color=line,
        guide_stroke_dasharray="1,0",
        major_guide_stroke_dasharray="1,0",
    )
    return pygal.XY(
        style=style,
        width=width,
        height=height,
        js=[],
        show_legend=False,
        show_dots=False,
        show_x_guides=False,
        margin=4,
        margin_right=16,  # half of the axis's last label
        max_scale=5,
        x_value_formatter=_abbreviate,
        value_formatter=_abbreviate,
        disable_xml_declaration=True,
    )


def _abbreviate(value: float) -> str:
    """A number for an axis: 12000 becomes 12k."""
    if abs(value) >= 1000:
        return f"{value / 1000:g}k" if abs(value) < 1e6 else f"{value / 1e6:g}M"
    return f"{value:.3g}"
