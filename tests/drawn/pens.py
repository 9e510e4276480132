"""Ways in which a modality writes a text: a character set's name, true or false, and the bytes (PS3.3 C.12.1.1.2).

The same words written by two pens are the same words; what a pen wrote under a false name nobody may read as another text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

DELIMITERS = "\\^="


@dataclass(frozen=True, slots=True, kw_only=True)
class Pen:
    """`label`: the values of (0008,0005), None where it is missing. `honest`: the label says how it writes."""

    label: str | None
    encode: Callable[[str], bytes]
    honest: bool = True

    def can_write(self, words: str) -> bool:
        try:
            self.encode(words)
        except UnicodeEncodeError:
            return False
        return True


def codec(name: str) -> Callable[[str], bytes]:
    return lambda words: words.encode(name)


def _escaped(codec_name: str, before: bytes, after: bytes) -> Callable[[str], bytes]:
    """Each run that is not ASCII between two escapes, as PS3.5 6.1.2.5.3 wants it before every delimiter."""

    def encode(words: str) -> bytes:
        written, run = b"", ""
        for letter in [*words, ""]:
            if letter and not letter.isascii():
                run += letter
                continue
            if run:
                written += before + _body(run, codec_name) + after
                run = ""
            written += letter.encode("ascii")
        return written

    return encode


def _body(run: str, codec_name: str) -> bytes:
    """Without the codec's own escapes."""
    raw = run.encode(codec_name)
    return raw[3:-3] if codec_name == "iso2022_jp" else raw


UTF_8 = Pen(label="ISO_IR 192", encode=codec("utf-8"))
PENS = (
    UTF_8,
    Pen(label="ISO_IR 100", encode=codec("latin-1")),
    Pen(label="ISO_IR 144", encode=codec("iso8859_5")),
    Pen(label="GB18030", encode=codec("gb18030")),
    Pen(label="\\ISO 2022 IR 87", encode=_escaped("iso2022_jp", b"\x1b$B", b"\x1b(B")),
    Pen(label="ISO 2022 IR 6\\ISO 2022 IR 149", encode=_escaped("euc_kr", b"\x1b$)C", b"")),
    Pen(label="ISO 2022 IR 100\\ISO 2022 IR 144", encode=_escaped("iso8859_5", b"\x1b-L", b"")),
    Pen(label="ISO_IR 13", encode=codec("ascii")),
    Pen(label=None, encode=codec("ascii")),
)
FALSE_PENS = (
    Pen(label="ISO IR 192", encode=codec("utf-8"), honest=False),
    Pen(label="ISO_IR 100", encode=codec("utf-8"), honest=False),
    Pen(label=None, encode=codec("utf-8"), honest=False),
    Pen(label=None, encode=codec("latin-1"), honest=False),
    Pen(label="ISO_IR 100", encode=_escaped("iso2022_jp", b"\x1b$B", b"\x1b(B"), honest=False),
    Pen(label="ISO_IR 13", encode=codec("shift_jis"), honest=False),
    Pen(label="ISO_IR 192\\ISO 2022 IR 100", encode=codec("utf-8"), honest=False),
)

UNSEEN = Pen(label="ISO_IR 192", encode=codec("latin-1"), honest=False)
"""Not drawn: Orthanc drops what is no UTF-8 under this name without a trace (`H\xfcfte` → `Hfte`, measured on 1.10.1 and
1.12.7), so that only whoever reads the file, as the oracle does, can tell."""

NAMES = (
    "Doe^Jane",
    "Müller^Jörg",
    "Люк^Мария",
    "山田^太郎",
    "김^희중",
    "ABC^D\\EF^G",
    "Doe^J=山田^太郎=やまだ^たろう",
    "=".join("Ä" * 60 for _ in range(3)),
)
TEXTS = ("Thorax", "Hüfte rechts", "Грудь", "胸部正面", "흉부", "誠", "Hand\\Fuß", "x" * 400, "ü" * 150)
