"""Where a picture comes from, written into the picture and read back from it.

Everything that a client sent is percent-encoded first: XML 1.0 has no way to write most control
characters, and a seed may hold any.
"""

import html
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from PIL import Image

from app.errors import Unidentified

MADE = "Made by a generative model (Kao)"
# IPTC's word for a picture that no camera and no hand made: newscodes, digitalsourcetype.
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
XMP_KEYWORD = "XML:com.adobe.xmp"  # the iTXt keyword of XMP in PNG (XMP specification, part 3)
_FIELD = re.compile(r'kao:(model|address)="([^"]*)"')
_COMMENT = re.compile(r"(model|address): (\S+)")


@dataclass(frozen=True)
class Stamp:
    """`model`: the version that drew; `address`: the URL, relative, that asks for this again."""

    model: str
    address: str

    def rdf(self) -> str:
        """As RDF/XML, for XMP and SVG."""
        address = html.escape(self.address)
        return (
            '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
            'rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" '
            'xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
            'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
            f'xmlns:kao="urn:kao:picture:1" xmp:CreatorTool="Kao" kao:model="{self.model}" '
            f'kao:address="{address}" Iptc4xmpExt:DigitalSourceType="{SOURCE_TYPE}">'
            f'<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{MADE}</rdf:li></rdf:Alt>'
            "</dc:description></rdf:Description></rdf:RDF>"
        )

    def xmp(self) -> bytes:
        """As an XMP packet."""
        return (
            '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
            f'<x:xmpmeta xmlns:x="adobe:ns:meta/">{self.rdf()}</x:xmpmeta><?xpacket end="r"?>'
        ).encode()

    def comment(self) -> bytes:
        """As a line of ASCII, for GIF."""
        return f"{MADE}. model: {self.model} address: {self.address}".encode("ascii")

    def chunk(self) -> tuple[bytes, bytes]:
        """As PNG's iTXt chunk: keyword, uncompressed, no language (PNG §11.3.3.4)."""
        return b"iTXt", XMP_KEYWORD.encode() + b"\0\0\0\0\0" + self.xmp()


def identify(path: Path) -> Stamp:
    """Read a stamp back, whatever the format. Raises Unidentified."""
    head = path.read_bytes()[:512].lstrip()
    pattern = _FIELD
    if head.startswith((b"<svg", b"<?xml")):
        text = path.read_text(errors="replace")
    else:
        text = _text(path)
        if "kao:" not in text:
            pattern = _COMMENT
    found = {name: html.unescape(value) for name, value in pattern.findall(text)}
    if found.keys() != {"model", "address"}:
        raise Unidentified(f"{path} does not say that Kao made it.")
    return Stamp(**found)


def words(stamp: Stamp) -> dict[str, str]:
    """The parameters of a stamp's address by name; its path under an empty name."""
    path, _, query = stamp.address.partition("?")
    pairs = (part.partition("=") for part in query.split("&"))
    return {"": path} | {name: unquote(value) for name, _, value in pairs}


def _text(path: Path) -> str:
    try:
        with Image.open(path) as image:
            fields = [image.info.get(name, b"") for name in (XMP_KEYWORD, "xmp", "comment")]
    except (OSError, ValueError, struct.error, Image.DecompressionBombError):
        raise Unidentified(f"{path} is no picture that can be read.") from None
    return "\n".join(
        field.decode(errors="replace") if isinstance(field, bytes) else str(field)
        for field in fields
    )
