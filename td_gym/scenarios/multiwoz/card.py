"""A goal in words: the card that a customer plays from."""

from __future__ import annotations

from collections.abc import Mapping

from personas.packaged import packaged_toml
from td_gym.scenarios.multiwoz.goals import DomainGoal, Goal
from td_gym.scenarios.wording import listed

_TEXTS = packaged_toml(__package__, "card.toml")


def card(goal: Goal) -> str:
    """Return the words of ``goal``, a paragraph a domain."""
    return "\n".join(" ".join(_sentences(domain, part)) for domain, part in goal.domains.items())


def _sentences(domain: str, part: DomainGoal) -> list[str]:
    first = part.fail_inform or part.inform
    constraints = [_constraint(domain, part, slot, value) for slot, value in {**_places(part), **first}.items()]
    opening = _TEXTS["wanted"][domain]
    sentences = [f"{opening} that {listed(constraints)}." if constraints else f"{opening}."]
    if part.fail_inform:
        instead = [_constraint(domain, part, slot, part.inform[slot]) for slot in _changed(first, part.inform)]
        sentences.append(f"If there is none, look for one that {listed(instead)} instead.")
    if part.book:
        details = [_detail(domain, part, slot, value) for slot, value in (part.fail_book or part.book).items()]
        sentences.append(f"Book it {' '.join(details)} and get the reference number.")
    if part.fail_book:
        instead = [_detail(domain, part, slot, part.book[slot]) for slot in _changed(part.fail_book, part.book)]
        sentences.append(f"If that fails, try to book it {' '.join(instead)} instead.")
    if part.request:
        asked = [_text("slot", domain, slot) for slot in part.request]
        sentences.append(f"Find out {listed(asked)}.")
    return sentences


def _places(part: DomainGoal) -> dict[str, str]:
    """Return the ends of a taxi's ride that are known by their domains only."""
    return {slot: other for slot, other in part.same.items() if slot in ("departure", "destination")}


def _changed(first: Mapping[str, str], then: Mapping[str, str]) -> list[str]:
    return [slot for slot in then if first[slot] != then[slot]]


def _constraint(domain: str, part: DomainGoal, slot: str, value: str) -> str:
    return _phrase("same" if slot in part.same else "constraint", domain, part, slot, value)


def _detail(domain: str, part: DomainGoal, slot: str, value: str) -> str:
    return _phrase("same_detail" if slot in part.same else "detail", domain, part, slot, value)


def _phrase(section: str, domain: str, part: DomainGoal, slot: str, value: str) -> str:
    text = _text(section, domain, slot, value)
    other = part.same.get(slot, "")
    return text.format(value=value, other=_TEXTS["called"].get(other, other))


def _text(section: str, domain: str, slot: str, value: str = "") -> str:
    """Return the text of ``slot``, or the more special one of the slot in this domain or with this value."""
    texts: Mapping[str, str] = _TEXTS[section]
    return texts.get(f"{domain} {slot}") or texts.get(f"{slot} {value}") or texts[slot]
