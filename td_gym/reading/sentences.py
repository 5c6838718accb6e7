"""Where one sentence ends and the next begins."""

from __future__ import annotations

from functools import lru_cache

_CURT = 3.5
"""Fewer words a sentence than this read as a telegram."""
ASCII = {code: code for code in range(128)}
"""What every table for ``str.translate`` starts from: at a letter that has no entry, it raises and catches an error."""
_ZEROS = bytes.maketrans(b"123456789", b"000000000")


@lru_cache(maxsize=1024)
def sentences(text: str) -> tuple[str, ...]:
    """Return the sentences of ``text``, in order and without empty ones; a line break ends one too."""
    parted = text.replace(". ", ".\n").replace("! ", "!\n").replace("? ", "?\n").replace("… ", "…\n")
    return tuple(filter(None, map(str.strip, parted.splitlines())))


def lowered(text: str) -> str:
    """Return ``text`` in small letters, with one kind of apostrophe."""
    return text.lower().replace("’", "'")


def zeroed(sentence: str) -> str:
    """Return ``sentence`` with every digit a zero: a key for what is the same whatever the figures.

    Most sentences that look new differ from an earlier one in a clock time or a sum only.
    """
    return sentence.encode("utf-8", "surrogatepass").translate(_ZEROS).decode("utf-8", "surrogatepass")


def is_curt(text: str) -> bool:
    """Return whether ``text`` is a telegram: three words or fewer a sentence."""
    return curt(len(text.split()), len(sentences(text)))


def curt(words: int, sentences: int) -> bool:
    """Return whether a text of so many words and sentences is a telegram."""
    return words < _CURT * sentences
