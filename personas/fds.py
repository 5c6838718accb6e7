"""Loader of the published FDS scenario files (FoodDeliveryService, InteractCS-RL, arXiv 2602.22697).

A row is one scenario: an order, the courier chat and a customer profile.  The published train and
test files share almost all orders, so rows are split by order id, never by file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from personas.checks import PersonaError
from personas.draws import Stream
from personas.fds_traits import classify, fds_tables
from personas.identities import check_locale, identity
from personas.persona import Persona
from personas.population import draw_honesty, draw_patience
from personas.splits import split_of_order

T = TypeVar("T")
_KWARGS = "extra_info.interaction_kwargs"
_SIGNAL = f"{_KWARGS}.system_signal"
_PROFILE = f"{_KWARGS}.user_profile"
_PATTERNS = f"{_PROFILE}.user_profile.behavioralPatterns"
# A name may hold commas and stars, so an item ends only at "*digits" before a comma or the end.
_ITEM = re.compile(r"\s*(.*?)\s*\*\s*([0-9]{1,6})\s*(?:,|$)", re.DOTALL)
_MESSAGE = re.compile(r"(User|Courier):\s*(.*)", re.DOTALL)
_SPEAKERS = {"User": "customer", "Courier": "courier"}


class FdsError(PersonaError):
    """A file that cannot be read or a malformed row; the message is one sentence for the user."""


@dataclass(frozen=True)
class FdsRow:
    """One published scenario.

    ``index`` is the row's position in its file, ``items`` holds (name, quantity >= 1) pairs,
    ``issue`` is ``cold``, ``taste``, ``undercooked`` or ``other``, ``courier_chat`` holds (speaker,
    text) pairs with speaker ``customer`` or ``courier`` (the files' empty ``null`` messages are
    left out), ``abnormal_report`` tells whether a problem with the order was reported, and
    ``split`` follows from ``order_id`` alone.
    """

    index: int
    order_id: str
    items: tuple[tuple[str, int], ...]
    merchant: str
    issue: str
    courier_chat: tuple[tuple[str, str], ...]
    abnormal_report: bool
    region: str
    persona: Persona
    split: str


def load_rows(path: str | Path, locale: str = "en_US") -> list[FdsRow]:
    """Load every row of the parquet file ``path``, in order; customers get identities of ``locale``.

    Raises :class:`FdsError` when pyarrow is not installed, when the file is missing, truncated or
    not parquet, and for a malformed row, naming file, row and field.
    """
    check_locale(locale)
    return [_row(_Source(str(path), index, data), locale) for index, data in enumerate(_read(Path(path)))]


@dataclass(frozen=True)
class _Source:
    """A raw row and where it stands, for error messages."""

    path: str
    index: int
    data: Mapping[str, Any]

    def error(self, name: str, problem: str) -> FdsError:
        return FdsError(f"{self.path}: row {self.index}: field {name} {problem}.")

    def get(self, name: str, kind: type[T]) -> T:
        """Return the value at the dotted path ``name``, which must be a ``kind``."""
        value: Any = self.data
        for key in name.split("."):
            if not isinstance(value, Mapping) or value.get(key) is None:
                raise self.error(name, "is missing")
            value = value[key]
        if not isinstance(value, kind):
            raise self.error(name, f"must be {kind.__name__}, not {value!r}")
        return value

    def text(self, name: str) -> str:
        """Return the text at ``name``, which must not be blank."""
        value = self.get(name, str).strip()
        if not value:
            raise self.error(name, "is blank")
        return value

    def pick(self, name: str, options: Mapping[str, T]) -> T:
        """Return the option that the text at ``name`` names."""
        value = self.text(name)
        if value not in options:
            raise self.error(name, f"must be one of {', '.join(options)}, not {value!r}")
        return options[value]


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise FdsError('Reading parquet files needs pyarrow: pip install "td-gym[data]".') from error
    if not path.is_file():
        raise FdsError(f"{path}: {'this is a folder; name the file' if path.is_dir() else 'there is no such file'}.")
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            rows: list[dict[str, Any]] = file.read(columns=["extra_info"]).to_pylist() if "extra_info" in names else []
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise FdsError(f"{path}: this is not a complete, readable parquet file ({reason}).") from error
    if "extra_info" not in names:
        raise FdsError(f"{path}: this is not an FDS file, it has no column extra_info.")
    return rows


def _row(source: _Source, locale: str) -> FdsRow:
    order_id = source.text(f"{_SIGNAL}.orderId")
    return FdsRow(
        index=source.index,
        order_id=order_id,
        items=_items(source, f"{_SIGNAL}.foodInfo"),
        merchant=source.text(f"{_SIGNAL}.merchantNameMap.en"),
        issue=fds_tables()["issues"].get(source.text(f"{_SIGNAL}.faqType"), "other"),
        courier_chat=_chat(source, f"{_SIGNAL}.instantMessageMap"),
        abnormal_report=source.pick(f"{_SIGNAL}.rcTag", {"true": True, "false": False}),
        region=source.text(f"{_SIGNAL}.metadata.region"),
        persona=_persona(source, order_id, locale),
        split=split_of_order(order_id),
    )


def _persona(source: _Source, order_id: str, locale: str) -> Persona:
    """Build the persona: class, demand and traits from the row, the rest drawn from the order id.

    The files state neither honesty nor patience nor a name; honesty follows the ``hard`` shares.
    """
    levels = {str(level): level for level in range(1, 6)}
    cooperativeness = source.pick(f"{_PROFILE}.category_info.category_key", levels)
    draws = Stream(0, f"fds/{order_id}")
    traits = classify(
        source.text(f"{_PATTERNS}.communicationStyle"),
        source.text(f"{_PATTERNS}.informationDisclosure"),
        source.text(f"{_PATTERNS}.problemSolvingApproach"),
    )
    return Persona(
        cooperativeness=cooperativeness,
        communication_style=traits["communication_style"],
        information_disclosure=traits["information_disclosure"],
        problem_solving=traits["problem_solving"],
        emotional_style=traits["emotional_style"],
        demand=source.pick(f"{_KWARGS}.core_demand.core_need_type", fds_tables()["demands"]),
        honesty=draw_honesty("hard", draws),
        patience=draw_patience(cooperativeness, draws),
        identity=identity(locale, draws),
    )


def _items(source: _Source, name: str) -> tuple[tuple[str, int], ...]:
    """Parse ``Grand Chicken Classic Meal*1,Processing Fee*1``."""
    text = source.text(name)
    items: list[tuple[str, int]] = []
    end = 0
    while end < len(text):
        match = _ITEM.match(text, end)
        if match is None:
            raise source.error(name, f"has an item without a quantity: {text[end:]!r}")
        item, quantity = match[1], int(match[2])
        if not item or quantity < 1:
            raise source.error(name, f"has an item without a name or with quantity 0: {match[0]!r}")
        items.append((item, quantity))
        end = match.end()
    return tuple(items)


def _chat(source: _Source, name: str) -> tuple[tuple[str, str], ...]:
    """Parse lines ``User: ...`` and ``Courier: ...``; a line with neither continues the message before it."""
    messages: list[tuple[str, str]] = []
    for line in source.get(name, str).splitlines():
        match = _MESSAGE.match(line)
        if match is not None:
            messages.append((_SPEAKERS[match[1]], match[2].strip()))
        elif messages:
            speaker, text = messages[-1]
            messages[-1] = (speaker, f"{text}\n{line.strip()}".strip())
        elif line.strip():
            raise source.error(name, f"must start with User: or Courier:, not {line!r}")
    return tuple((speaker, text) for speaker, text in messages if text not in ("", "null"))
