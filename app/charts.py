"""pygal's charts, without what importing it leaves behind.

It looks for plugins, of which we have none, by an import hook of Python 2's kind. With that in
place Python 3.11 warns at every import that fails, of anything, so it is taken off.
"""

import sys
from typing import Any, Literal

import pygal
from fastapi import Response
from pygal.style import Style

sys.meta_path[:] = [one for one in sys.meta_path if not isinstance(one, pygal.PluginImportFixer)]

Theme = Literal["light", "dark"]

# 3:1 and more on their ground (WCAG 1.4.11), apart for the colour-blind too (Okabe and Ito, 2008).
COLOURS = {
    "light": ("#bf3420", "#0072b2", "#00795a", "#a14f84"),
    "dark": ("#ff8069", "#56b4e9", "#35c79b", "#d99bc0"),
}
INK = {"light": ("#615c53", "#e2ded4"), "dark": ("#aba59b", "#36333a")}
# Opened by itself a picture may style itself and nothing else.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


def answer(drawn: Any, caching: str) -> Response:
    """A chart as a picture."""
    headers = {
        "Cache-Control": caching,
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
    }
    return Response(drawn.render(is_unicode=True), headers=headers, media_type="image/svg+xml")


def chart(theme: Theme, width: int, height: int, each: int = 1) -> Any:
    """each: lines that follow each other in one colour, as a run's do beside another's."""
    ink, line = INK[theme]
    style = Style(
        background="transparent",
        plot_background="transparent",
        foreground=ink,
        foreground_strong=ink,
        foreground_subtle=line,
        colors=tuple(colour for colour in COLOURS[theme] for _ in range(each)),
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
        margin_right=16,  # half of the last label on the axis
        max_scale=5,
        x_value_formatter=_short,
        value_formatter=_short,
        disable_xml_declaration=True,
    )


def _short(value: float) -> str:
    """12000 is 12k."""
    if abs(value) >= 1000:
        return f"{value / 1000:g}k" if abs(value) < 1e6 else f"{value / 1e6:g}M"
    return f"{value:.3g}"
