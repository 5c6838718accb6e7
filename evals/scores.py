"""From dialogues to ``results.json``: means, bootstrap intervals over dialogues, paired differences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, permutations
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from evals.dialogue import Dialogue
from evals.metrics import Values, cases_of, compute, metrics_version, summarise
from evals.provenance import provenance
from evals.statistics import Interval
from td_gym.errors import TdGymError
from td_gym.json_data import as_list, as_number, field_of
from td_gym.protocol import PROTOCOL_VERSION
from td_gym.registration import without_module
from td_gym.scenario import Scenario

if TYPE_CHECKING:
    from evals.runner import Setting


def results(
    setting: Setting, dialogues: Mapping[str, Sequence[Dialogue]], command: Sequence[str], **more: Any
) -> dict[str, Any]:
    """Return the content of ``results.json``; ``more`` joins the provenance."""
    scenario = setting.scenario()
    values = {name: compute(each) for name, each in dialogues.items()}
    cases = {name: cases_of(each) for name, each in dialogues.items()}
    held = [dialogue for each in dialogues.values() for dialogue in each]
    return {
        "env": without_module(setting.env),
        "split": setting.split,
        "customer": held[0].customer if held else setting.customer_name(scenario),
        "agents": {name: {"metrics": entries(each, cases[name])} for name, each in values.items()},
        "paired": paired(values, cases),
        "provenance": provenance(
            command,
            episodes=setting.episodes,
            seed=setting.seed,
            temperature=setting.temperature,
            **customers_of(setting, scenario),
            **versions(scenario),
            interval=f"95 % bootstrap over {_resampled(cases.values())}",
            **more,
        ),
    }


def customers_of(setting: Setting, scenario: Scenario) -> dict[str, str]:
    """Return where the customers of a setting come from, as a result's provenance names it."""
    files = {"scenarios": setting.scenarios, "data": setting.data_dir}
    named = {field: path.resolve().name for field, path in files.items() if path is not None}
    return {"population": setting.population or scenario.populations[0], **named}


def _resampled(cases: Iterable[npt.NDArray[np.int64]]) -> str:
    """Return what an interval rests on: dialogues, or, where some have a case in common, their cases."""
    for each in cases:
        if (different := len(np.unique(each))) < len(each):
            return f"{different} cases, some held more than once"
    return "dialogues"


def versions(scenario: Scenario) -> dict[str, str]:
    """Return what a result depends on beside its settings, as its provenance names it."""
    return {
        "scenario": scenario.name,
        "scenario_version": scenario.version,
        "wording_version": scenario.wording_version,
        "protocol_version": PROTOCOL_VERSION,
        "metrics_version": metrics_version(scenario.name),
    }


def entries(values: Mapping[str, Values], cases: npt.NDArray[np.int64]) -> dict[str, dict[str, Any]]:
    """Return mean, 95 % bootstrap interval and number of dialogues of each metric that applies to any."""
    return {name: entry(interval) for name, interval in summarise(values, cases).items()}


def entry(interval: Interval) -> dict[str, Any]:
    """Return an interval as results files hold it."""
    return {"mean": interval.mean, "ci95": [interval.low, interval.high], "n": interval.n}


def check_entry(data: Any, where: str) -> None:
    """Raise ``TdGymError`` naming the field of a metric in a results file that is missing or wrong; see ``entry``."""
    as_number(field_of(data, "mean", where), f"{where}.mean")
    bounds = as_list(field_of(data, "ci95", where), f"{where}.ci95")
    if len(bounds) != 2:
        raise TdGymError(f"{where}.ci95 must be two numbers, not {len(bounds)}.")
    for bound in bounds:
        as_number(bound, f"{where}.ci95")
    count = as_number(field_of(data, "n", where), f"{where}.n")
    if count < 0 or count % 1:
        raise TdGymError(f"{where}.n must be a whole number of at least 0, not {data['n']}.")


def check_pairs(names: Sequence[str]) -> None:
    """Raise ``TdGymError`` where differences of two pairs of ``names`` would have one key, as a-b and c, a and b-c."""
    known: dict[str, tuple[str, str]] = {}
    for pair in permutations(names, 2):
        if (other := known.setdefault("-".join(pair), pair)) != pair:
            raise TdGymError(
                f"The difference of {other[0]!r} and {other[1]!r} would be called {'-'.join(pair)!r}, as that of "
                f"{pair[0]!r} and {pair[1]!r}; give one of them another name."
            )


def paired(
    values: Mapping[str, Mapping[str, Values]], cases: Mapping[str, npt.NDArray[np.int64]]
) -> dict[str, dict[str, Any]]:
    """Return the mean difference per dialogue of every two agents, in both directions, keys ``A-B``."""
    found: dict[str, dict[str, Any]] = {}
    for first, second in combinations(values, 2):
        one, other = values[first], values[second]
        shared = [metric for metric in one if metric in other and len(one[metric]) == len(other[metric])]
        forward = entries({metric: one[metric] - other[metric] for metric in shared}, cases[first])
        found[f"{first}-{second}"] = forward
        found[f"{second}-{first}"] = {metric: _negated(each) for metric, each in forward.items()}
    return found


def _negated(difference: Mapping[str, Any]) -> dict[str, Any]:
    low, high = difference["ci95"]
    return {"mean": -difference["mean"], "ci95": [-high, -low], "n": difference["n"]}
