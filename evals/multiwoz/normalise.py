"""Responses, slots and values in one form, whoever wrote them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sacremoses import MosesDetokenizer, MosesTokenizer

from personas.packaged import packaged_toml

_ONTOLOGY = packaged_toml(__package__, "ontology.toml")
_CLASS_OF = {
    f"{prefix}_{name}".removeprefix("_"): kind
    for kind, names in _ONTOLOGY["placeholders"].items()
    for name, prefixes in names.items()
    for prefix in prefixes
}
_PLACEHOLDER = re.compile(r"\[([\w\s]+)\](?:-?e?s)?")
"""A placeholder with a plural ending, which belongs to it."""

_SLOT_NAMES = {"arriveby": "arrive", "leaveat": "leave"}
_KIND_OF_SLOT = {"destination": "name", "departure": "name", "arrive": "time", "leave": "time"}
"""Slots whose values are written as those of another slot."""

_TOKENIZER, _DETOKENIZER = MosesTokenizer(lang="en"), MosesDetokenizer(lang="en")

Value = str | float | None
"""What a state may say of a slot; ``None`` says nothing, and a number never equals the text of the database."""

State = Mapping[str, Mapping[str, Value]]
"""Values by domain and slot; the order of domains counts where several change at once."""


def placeholders(response: str) -> list[str]:
    """Return the names of the placeholders in a ``response``, in lower case."""
    return _PLACEHOLDER.findall(response.lower())


def unknown_placeholders(response: str) -> list[str]:
    """Return the placeholders that no class is known for, which :func:`normal_response` drops."""
    return [name for name in placeholders(response) if name not in _CLASS_OF]


def normal_response(response: str) -> str:
    """Return ``response`` in lower case, its placeholders as classes in capitals, spaced as Moses' detokeniser does."""
    text = _PLACEHOLDER.sub(lambda found: _CLASS_OF.get(found[1], ""), response.lower())
    text = text.replace("-s", "").replace("-ly", "")
    detokenized: str = _DETOKENIZER.detokenize(_TOKENIZER.tokenize(text))
    return detokenized


def normal_slot(slot: str) -> str:
    """Return the name of a ``slot`` of a state or of a column of the database: ``Leave At`` is ``leave``."""
    name = slot.lower().replace(" ", "")
    return _SLOT_NAMES.get(name, name)


def normal_state(state: State) -> State:
    """Return a belief ``state`` with normal slots and values."""
    return {
        domain: {normal_slot(slot): normal_value(normal_slot(slot), value) for slot, value in slots.items()}
        for domain, slots in state.items()
    }


def normal_value(slot: str, value: Value) -> Value:
    """Return ``value`` as the database writes values of the normal ``slot``; what is no text stays as it is."""
    if not isinstance(value, str):
        return value
    kind = _KIND_OF_SLOT.get(slot, slot)
    if kind == "time":
        return normal_time(value)
    if kind in ("name", "food"):
        value = value.strip().lower()
    if kind == "name":
        value = value.replace(" & ", " and ").replace("&", " and ").replace(" '", "'")
    known: dict[str, str] = _ONTOLOGY.get(kind, {})
    return known.get(value, value)


def normal_time(text: str) -> str:
    """Return a time of day as ``HH:MM`` where ``text`` can be read so: ``after 5:15 pm`` is ``17:15``.

    The afternoon adds twelve hours whatever the hour: ``12:30 pm`` is ``24:30``, as the standard has it.
    """
    time = text.strip().lower()
    if time in _ONTOLOGY["time"]:
        return str(_ONTOLOGY["time"][time])
    time = re.sub(r"^(by.?\s*)?(after\s*)?(afer\s*)?", "", time)
    time = re.sub(r"\s*(am|a\.m\.)$", "", time)
    time, afternoon = re.subn(r"\s*(pm|p\.m\.)$", "", time)
    if afternoon and (parts := re.fullmatch(r"(\d{1,9})\s*(?::(.*))?", time)):  # int() refuses thousands of digits
        return f"{int(parts[1]) + 12}:{(parts[2] or '00').replace(' ', '')}"
    time = re.sub(r"[.,?]$", "", time)
    if time.isdigit() or not time:
        return f"{time[:2]}:{time[2:]}" if len(time) == 4 else f"{time:0>2}:00"
    if ":" in time:
        time = time.replace(" ", "")
    return f"0{time}" if len(time) == 4 and time[1] == ":" else time


def minutes(time: Value) -> int:
    """Return a ``time`` as minutes since midnight; 0 for what does not begin as ``HH:MM``."""
    clock = re.match(r"([0-9]{2}):([0-9]{2})", str(time))
    return 60 * int(clock[1]) + int(clock[2]) if clock else 0
