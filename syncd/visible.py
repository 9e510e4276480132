"""Text for a line of a log or of a terminal that stays one line and is shown, not obeyed (RULES S1).

The difficulty is how much is obeyed: a line ends at more characters than LF, an escape sequence may begin with one character
(U+009B), a right-to-left override turns what a person reads, and half of a pair cannot be written at all. Unicode calls what
is shown printable; everything else is spelt out, as JSON does it: inside a JSON string the value stays the same.
"""

from __future__ import annotations

import json


def visible(text: str) -> str:
    """The text, with everything that is not shown spelt out as in JSON."""
    return text if text.isprintable() else "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text)
