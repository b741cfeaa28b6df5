"""Writes a picture's model and address into its metadata, and reads them back.

Values from clients are percent-encoded first: XML 1.0 cannot represent most control characters, and
a seed may contain any.
"""

import html
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from PIL import Image

from app.errors import NoProvenance

CAPTION = "Made by a generative model (Kao)"
# IPTC's term for a picture that a trained model generated (newscodes, digitalsourcetype).
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
XMP_KEYWORD = "XML:com.adobe.xmp"  # the iTXt keyword of XMP in PNG (XMP specification, part 3)
_FIELD = re.compile(r'kao:(model|address)="([^"]*)"')
_XMP_PACKET = re.compile(rb"<x:xmpmeta.*?</x:xmpmeta>", re.DOTALL)
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_COMMENT = re.compile(r"(model|address): (\S+)")


@dataclass(frozen=True)
class Words:
    """The metadata of a file in words.

    alt: the alternative text by language, English first. traits: of the one face, if it is one.
    licence, credit: of the pictures that the model was trained on.
    """

    alt: Mapping[str, str]
    traits: Mapping[str, str | float]
    licence: str
    credit: str

    @property
    def rights(self) -> str:
        """Licence and credit as a sentence."""
        credit = f", {self.credit}" if self.credit else ""
        return f"Trained on pictures under {self.licence}{credit}"


@dataclass(frozen=True)
class Stamp:
    """model: the version that drew the picture. address: the relative URL of the same picture.

    words: None in pinned pictures of models whose card has no `provenance`: their bytes stay.
    """

    model: str
    address: str
    words: Words | None = None

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
            f'<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{CAPTION}</rdf:li></rdf:Alt>'
            f"</dc:description>{self._words_rdf()}</rdf:Description></rdf:RDF>"
        )

    def _words_rdf(self) -> str:
        """IPTC's alternative text (Photo Metadata 2021.1), rights and credit, as properties."""
        if self.words is None:
            return ""
        items = "".join(
            f'<rdf:li xml:lang="{tag}">{_escape(text)}</rdf:li>'
            for language, text in self.words.alt.items()
            for tag in (["x-default", language] if language == "en" else [language])
        )
        rights, credit = _escape(self.words.rights), _escape(self.words.credit)
        return (
            "<Iptc4xmpCore:AltTextAccessibility xmlns:Iptc4xmpCore="
            f'"http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/"><rdf:Alt>{items}</rdf:Alt>'
            "</Iptc4xmpCore:AltTextAccessibility>"
            f'<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">{rights}</rdf:li></rdf:Alt>'
            '</dc:rights><photoshop:Credit xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/">'
            f"{credit}</photoshop:Credit>"
        )

    def titles(self) -> str:
        """SVG's titles, which are its accessible name; the first has no language attribute."""
        if self.words is None:
            return ""
        (_, first), *translations = self.words.alt.items()
        further_titles = (
            f'<title lang="{language}">{_escape(text)}</title>' for language, text in translations
        )
        return "".join([f"<title>{_escape(first)}</title>", *further_titles])

    def xmp(self) -> bytes:
        """As an XMP packet."""
        return (
            '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
            f'<x:xmpmeta xmlns:x="adobe:ns:meta/">{self.rdf()}</x:xmpmeta><?xpacket end="r"?>'
        ).encode()

    def comment(self) -> bytes:
        """As a line of ASCII, for GIF."""
        text = f"{CAPTION}. model: {self.model} address: {self.address}"
        if self.words is not None:  # before the fields, so that it cannot replace them
            words = f"{self.words.alt['en']}. {self.words.rights}. ".replace('"', "'")
            text = words + text
        return text.encode("ascii", "backslashreplace")

    def chunk(self) -> tuple[bytes, bytes]:
        """As PNG's iTXt chunk: keyword, not compressed, no language (PNG §11.3.3.4)."""
        return b"iTXt", XMP_KEYWORD.encode() + b"\0\0\0\0\0" + self.xmp()


def _escape(text: str) -> str:
    """Text for XML; characters that XML 1.0 cannot represent become U+FFFD."""
    return html.escape(_NOT_XML.sub("\ufffd", text))


def identify(path: Path) -> Stamp:
    """The stamp in a picture of any format. Raises NoProvenance."""
    head = path.read_bytes()[:512].lstrip()
    if head.startswith((b"<svg", b"<?xml")):
        text = path.read_text(errors="replace")
    else:
        text = _read_metadata(path)
    for pattern in (_FIELD, _COMMENT):
        fields = {name: html.unescape(value) for name, value in pattern.findall(text)}
        if fields.keys() == {"model", "address"}:
            return Stamp(fields["model"], fields["address"])
    raise NoProvenance(f"{path} has no metadata of Kao.")


def parse_address(stamp: Stamp) -> tuple[str, dict[str, str]]:
    """The path of a stamp's address, and its parameters as texts by name."""
    path, _, query = stamp.address.partition("?")
    pairs = (part.partition("=") for part in query.split("&"))
    return path, {name: unquote(value) for name, _, value in pairs}


def _read_metadata(path: Path) -> str:
    """The metadata that Pillow reads, and an XMP packet that it does not read in this format."""
    try:
        with Image.open(path) as image:
            fields = [image.info.get(name, b"") for name in (XMP_KEYWORD, "xmp", "comment")]
        fields += _XMP_PACKET.findall(path.read_bytes())
    except (OSError, ValueError, struct.error, Image.DecompressionBombError):
        raise NoProvenance(f"{path} is not a picture that can be read.") from None
    return "\n".join(
        field.decode(errors="replace") if isinstance(field, bytes) else str(field)
        for field in fields
    )
