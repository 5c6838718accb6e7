"""What users pass to the views, checked: scenarios, seats, seeds, rows, messages, render modes."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from td_gym.errors import TdGymError, as_index, as_seed, unknown
from td_gym.registration import make_scenario, scenario_options
from td_gym.scenario import Scenario
from td_gym.seats import SeatPolicy

if TYPE_CHECKING:
    from td_gym.llm.models import Models

RENDER_MODES = ("ansi",)


def as_scenario(scenario: str | Scenario, options: Mapping[str, Any], view: type) -> Scenario:
    """Return ``scenario`` built with ``options``; a scenario that is built already takes none.

    Raises ``TdGymError`` naming the arguments of ``view`` too when an option is unknown.
    """
    if not isinstance(scenario, Scenario):
        accepted = scenario_options(scenario)
        for option, value in options.items():
            if value is not None and option not in accepted:
                own = [p.name for p in inspect.signature(view).parameters.values() if p.kind is p.KEYWORD_ONLY]
                raise unknown("argument", option, (*accepted, *own))
        return make_scenario(scenario, **options)
    if options:
        raise TdGymError(f"A scenario that is already built takes no options, but got {', '.join(sorted(options))}.")
    return scenario


class RenderModeError(TdGymError, TypeError):
    """A render mode that there is not.

    A ``TypeError`` too: on that, stable-baselines3, which asks for pictures first, tries again without.
    """


def as_render_mode(mode: str | None) -> str | None:
    """Return ``mode``; ``RenderModeError`` when it is not a known one."""
    if mode is not None and mode not in RENDER_MODES:
        raise RenderModeError(str(unknown("render mode", mode, RENDER_MODES)))
    return mode


def other_seats(
    scenario: Scenario, seat: str, customer: str | SeatPolicy | None, models: Models | None = None
) -> dict[str, SeatPolicy]:
    """Return who plays the seats other than ``seat``: the customer, or the reference agent.

    ``customer`` is the name of a simulated customer, by default the scenario's first, or a policy; one that is a
    language model is asked through ``models``.  Raises ``TdGymError`` for an unknown seat or customer.
    """
    scenario.check_seat(seat)
    if customer is None or isinstance(customer, str):
        simulated = scenario.customer(customer or "", models)
    elif isinstance(customer, SeatPolicy) and not isinstance(customer, type):
        simulated = customer
    else:
        raise TdGymError(f"A customer is named, or is a policy with reply_batch(episodes); {customer!r} is neither.")
    policies: dict[str, SeatPolicy] = {"customer": simulated, "service": scenario.expert()}
    return {other: policies[other] for other in scenario.seats if other != seat}


def check_reset_options(options: Mapping[str, Any] | None, known: Collection[str]) -> None:
    """Raise ``TdGymError`` for an option of ``reset`` that is not among ``known``, and for options without names."""
    if not isinstance(options, Mapping | None):
        raise TdGymError(f"The options of reset() are a dict with {' and '.join(known)}, not {options!r}.")
    for option in options or {}:
        if option not in known:
            raise unknown("option of reset()", option, known)


def as_seeds(seed: Any, count: int) -> list[int | None]:
    """Return a seed for each of ``count`` conversations, ``None`` for those that draw their own.

    One seed counts on from conversation to conversation; a sequence gives each its own.  Raises ``TdGymError`` for
    another number of seeds, and for one that is no seed.
    """
    if seed is None:
        return [None] * count
    one_each = seed.ndim > 0 if isinstance(seed, np.ndarray) else isinstance(seed, Sequence)
    if isinstance(seed, str) or not one_each:
        first = as_seed(seed)
        return [first + i for i in range(count)]
    if len(seed) != count:
        raise TdGymError(f"reset() got {len(seed)} seeds for {count} conversations.")
    return [None if each is None else as_seed(each) for each in seed]


def as_row(options: Mapping[str, Any] | None) -> int | None:
    """Return the row that ``reset(options={"scenario": row})`` names, ``None`` when it names none."""
    if not isinstance(options, Mapping | None):
        raise TdGymError(f"The options of reset() are a dict, not {options!r}.")
    row = (options or {}).get("scenario")
    if row is None:
        return None
    number = as_index(row)
    if number is None:
        raise TdGymError(f"options['scenario'] must be the number of a row, not {row!r}.")
    return number


def as_texts(actions: Any, count: int) -> list[str]:
    """Return ``actions`` as a list of ``count`` messages; ``TdGymError`` when they are not that."""
    if isinstance(actions, str) or not isinstance(actions, Sequence) or len(actions) != count:
        raise TdGymError(f"step() takes one message for each of the {count} conversations, in a list or tuple.")
    return list(actions)
