"""From dialogues to ``results.json``: means, bootstrap intervals over dialogues, paired differences."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from evals.dialogue import Dialogue
from evals.metrics import compute
from evals.provenance import provenance
from evals.statistics import bootstrap_mean
from td_gym.draws import mix
from td_gym.protocol import PROTOCOL_VERSION

if TYPE_CHECKING:
    from evals.runner import Setting

Values = npt.NDArray[np.float64]
"""One value a dialogue, NaN where the metric does not apply to it."""

_BY_GROUP = "voucher_rate"


def results(
    setting: Setting, dialogues: Mapping[str, Sequence[Dialogue]], command: Sequence[str], **more: Any
) -> dict[str, Any]:
    """Return the content of ``results.json``; ``more`` joins the provenance."""
    scenario = setting.scenario()
    values = {name: per_dialogue(each) for name, each in dialogues.items()}
    held = [dialogue for each in dialogues.values() for dialogue in each]
    return {
        "env": setting.env,
        "split": setting.split,
        "customer": held[0].customer if held else setting.customer_name(scenario),
        "agents": {
            name: {"metrics": {metric: summary(numbers, metric) for metric, numbers in each.items()}}
            for name, each in values.items()
        },
        "paired": paired(values),
        "provenance": provenance(
            command,
            episodes=setting.episodes,
            seed=setting.seed,
            temperature=setting.temperature,
            population=setting.population or scenario.populations[0],
            scenario=scenario.name,
            scenario_version=scenario.version,
            wording_version=scenario.wording_version,
            protocol_version=PROTOCOL_VERSION,
            interval="95 % bootstrap over dialogues",
            **more,
        ),
    }


def per_dialogue(dialogues: Sequence[Dialogue]) -> dict[str, Values]:
    """Return every metric, one value a dialogue, and the voucher rate by the customer's demand."""
    values = {name: np.asarray(each, dtype=np.float64) for name, each in compute(dialogues).items()}
    demands = [str(dialogue.persona.get("demand", "")) for dialogue in dialogues]
    if _BY_GROUP in values:
        for demand in sorted(set(demands) - {""}):
            chosen = np.array([each == demand for each in demands])
            values[f"{_BY_GROUP}/{demand}"] = np.where(chosen, values[_BY_GROUP], np.nan)
    return values


def summary(values: Values, name: str) -> dict[str, Any]:
    """Return mean, 95 % bootstrap interval and number of the values that apply; all null where none does."""
    known = values[~np.isnan(values)]
    if not len(known):
        return {"mean": None, "ci95": [None, None], "n": 0}
    interval = bootstrap_mean(known, mix(0, name) >> 1)
    return {"mean": interval.mean, "ci95": [interval.low, interval.high], "n": interval.n}


def paired(values: Mapping[str, Mapping[str, Values]]) -> dict[str, dict[str, Any]]:
    """Return the mean difference per dialogue of every two agents, in both directions, keys ``A-B``."""
    found: dict[str, dict[str, Any]] = {}
    for first, second in combinations(values, 2):
        one, other = values[first], values[second]
        shared = [metric for metric in one if metric in other and len(one[metric]) == len(other[metric])]
        forward = {metric: summary(one[metric] - other[metric], metric) for metric in shared}
        found[f"{first}-{second}"] = forward
        found[f"{second}-{first}"] = {metric: _negated(each) for metric, each in forward.items()}
    return found


def _negated(entry: Mapping[str, Any]) -> dict[str, Any]:
    if entry["mean"] is None:
        return dict(entry)
    low, high = entry["ci95"]
    return {"mean": -entry["mean"], "ci95": [-high, -low], "n": entry["n"]}


def as_jsonl(dialogues: Iterable[Dialogue]) -> str:
    """Return dialogues as the content of ``dialogues.jsonl``, one a line."""
    lines = (json.dumps(dialogue.to_json(), ensure_ascii=False, allow_nan=False) for dialogue in dialogues)
    return "".join(f"{line}\n" for line in lines)
