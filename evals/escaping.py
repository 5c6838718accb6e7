"""Words that others wrote, made safe to show: in a terminal, and in Markdown or HTML inside it.

It imports nothing of td-gym: errors must be told even where a package is broken.
"""

from __future__ import annotations

import html
import re

_MARKUP = re.compile(r"[\\`*{}\[\]|~$]|(?<![^\W_])_|_(?![^\W_])|(?<=:)/(?=/)|(?<=www)\.")
"""An underscore between letters or digits marks nothing; :// and www. would become links."""
_AT_START = re.compile(r"^(\s*)([#+\-=:]|\d+(?=[.)](?:\s|$)))")


def printable(value: str) -> str:
    """Return ``value`` with every character that could move the cursor or break a line escaped."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in value)


def escape_markdown(line: str) -> str:
    """Escape what Markdown, or HTML inside it, gives a meaning; list and heading marks only where they stand first."""
    text = _MARKUP.sub(r"\\\g<0>", html.escape(printable(line), quote=False))
    return _AT_START.sub(lambda found: f"{found[1]}&#8203;{found[2]}", text)


def paragraph(speaker: str, text: str, quote: str = "") -> str:
    """Return what ``speaker`` said as one Markdown paragraph, each of its lines begun with ``quote``.

    An empty line would end the paragraph, and an indent after it make code: the one gets a character
    of no width, the other is dropped.
    """
    lines = [escape_markdown(line.lstrip()) or "&#8203;" for line in text.splitlines()] or [""]
    return f"{quote}**{escape_markdown(speaker)}**: " + f"  \n{quote}".join(lines)
