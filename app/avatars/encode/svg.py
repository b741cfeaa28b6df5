"""Traces a face as SVG.

The palette is small and chosen at the face's own resolution; the face is then enlarged smoothly
before tracing, since otherwise the outlines would follow the corners of 64 × 64 pixels
(`docs/pictures/` has an example).
"""

import hashlib
import io
import re

import vtracer
from PIL import Image, ImageFilter

from app.avatars.encode.provenance import Stamp
from models.bundle.generator import Pixels

CANVAS = 192  # units of the paths' coordinates, at any `size`
COLOURS = 24
BLUR = 0.35  # radius, in pixels of the face
_PATH = re.compile(r"<path .*?/>")
# Clip paths by shape, in units of CANVAS.
_CLIPS = {
    "circle": '<circle cx="96" cy="96" r="96"/>',
    "rounded": '<rect width="192" height="192" rx="32"/>',
}


def trace(pixels: Pixels, size: int, shape: str, backdrop: str | None, stamp: Stamp) -> bytes:
    """(S, S, 3) to an SVG of `size`; backdrop: six hex digits, the colour outside `shape`."""
    paths = "".join(_PATH.findall(_trace_paths(pixels)))
    # The tracer drops speckles at the edges, where this colour is visible.
    background = pixels[0, 0].tobytes().hex()
    face = f'<rect width="100%" height="100%" fill="#{background}"/>{paths}'
    clip = ""
    if shape in _CLIPS:
        name = _clip_id(stamp)
        clip = f'<clipPath id="{name}">{_CLIPS[shape]}</clipPath>'
        face = f'<g clip-path="url(#{name})">{face}</g>'
        if backdrop is not None:
            face = f'<rect width="100%" height="100%" fill="#{backdrop}"/>{face}'
    role, titles = ' role="img"' if stamp.words else "", stamp.titles()
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size}" height="{size}" '
        f'viewBox="0 0 {CANVAS} {CANVAS}"{role}>{titles}<metadata>{stamp.rdf()}</metadata>'
        f"{clip}{face}</svg>"
    ).encode()


def _clip_id(stamp: Stamp) -> str:
    """An id that differs between pictures, since several may be inlined in one page.

    Pinned pictures of older models keep theirs, as all their bytes.
    """
    if stamp.words is None:
        return "s"
    return f"s{hashlib.sha256(f'{stamp.model}{stamp.address}'.encode()).hexdigest()[:12]}"


def _trace_paths(pixels: Pixels) -> str:
    image = Image.fromarray(pixels)
    # Without k-means the most frequent colours are chosen, and lips have few pixels.
    palette = image.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=2)
    large = image.resize((CANVAS, CANVAS), Image.Resampling.BICUBIC)
    smooth = large.filter(ImageFilter.GaussianBlur(BLUR * CANVAS / image.width))
    flat = smooth.quantize(palette=palette, dither=Image.Dither.NONE).convert("RGBA")
    file = io.BytesIO()
    flat.save(file, "PNG", compress_level=1)
    svg: str = vtracer.convert_raw_image_to_svg(
        file.getvalue(),
        img_format="png",
        color_precision=8,
        layer_difference=0,  # the palette has separated the colours already
        filter_speckle=5,
        corner_threshold=120,
        length_threshold=6,
        path_precision=1,
    )
    return svg
