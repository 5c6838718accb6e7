"""Which domains a turn is about: read from the states, or from the placeholders' names."""

from __future__ import annotations

from collections.abc import Sequence

from evals.multiwoz.normalise import State, placeholders

_DOMAINS = {"restaurant", "hotel", "attraction", "train", "taxi", "police", "hospital"}

Active = tuple[str, ...]
"""The domains that a turn is about."""


def from_states(states: Sequence[State]) -> list[Active]:
    """Return for each turn of a dialogue the domain whose part of the normal state changed last, if any.

    Of several that change at once the current one stays; if it is not among them, the one with most slots follows, the
    first in the state's order if they have equally many. When then nothing changes, the first of the others is next.
    """
    active: list[Active] = []
    current = ""
    before: State = {}
    changed_before: list[str] = []
    for state in states:
        changed = [domain for domain, slots in state.items() if slots.items() - before.get(domain, {}).items()]
        if changed and current not in changed:
            current = max(changed, key=lambda domain: len(state[domain]))
        elif not changed and len(changed_before) > 1:
            current = next((domain for domain in changed_before if domain in state and domain != current), current)
        before, changed_before = state, changed
        active.append((current,) if current else ())
    return active


def from_placeholders(responses: Sequence[str]) -> list[Active]:
    """Return for each response the domains that its placeholders name, as in ``[hotel_name]``."""
    return [
        tuple(sorted({name.partition("_")[0] for name in placeholders(response)} & _DOMAINS)) for response in responses
    ]
