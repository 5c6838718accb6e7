"""What others wrote, as data: in it nothing opens or closes that a reader, or a model's chat template, goes by."""

from __future__ import annotations

import unicodedata

_PLAIN = str.maketrans("<>[]＜＞［］", "‹›()‹›()")


def quoted(text: str) -> str:
    """Return ``text`` without invisible characters, its angle and square brackets in forms that mean nothing.

    So it holds no tag, no end mark, and none of the control words that chat templates have in such brackets.
    """
    shown = text if text.isascii() else "".join(each for each in text if unicodedata.category(each) != "Cf")
    return shown.translate(_PLAIN)
