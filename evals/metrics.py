"""What is measured of a dialogue, each metric one sentence and one function, and how it is summed up."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import numpy.typing as npt

from evals.conduct import consistency, engaged, sop_breaches
from evals.dialogue import Dialogue
from evals.judges.communication import communication
from evals.judges.compliance import compliance_violations
from evals.judges.consistency import inconsistent
from evals.judges.fluency import fluency
from evals.judges.grounding import grounding
from evals.judges.logic import logic
from evals.judges.profile import profile_accuracy
from evals.judges.repetition import distinct_2, repetition
from evals.judges.sources import sourced
from evals.statistics import Interval, bootstrap_mean
from evals.verdicts import WEIGHTS, score
from td_gym.errors import TdGymError, unknown
from td_gym.registration import scenario_class, scenario_names, without_module
from td_gym.scenario import Scenario

Values = npt.NDArray[np.float64]
FAILURES = ("turn_limit", "format_error")


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """A metric: its value for one dialogue (NaN where it does not apply), its range and what it means."""

    name: str
    of: Callable[[Dialogue], float]
    low: float
    high: float
    unit: str
    trained_on: bool
    """Whether a reward, a turn term or a cost measures it too, so that it is no evidence by itself."""
    definition: str
    budget: str = ""
    """The budgeted cost of which this is the mean, empty for none."""
    by: str = ""
    """The trait of the persona by whose values it is also reported, empty for none."""
    compared: bool = False
    """Whether a study's table shows how any two arms differ in it."""
    shown: bool = True
    """Whether it is a column of tables; results files hold it anyway."""

    @property
    def label(self) -> str:
        """The name in words."""
        return self.name.replace("_", " ")


def satisfaction(dialogue: Dialogue) -> float:
    """The customer's closing satisfaction 1..5; 0 at the turn limit and after a format error."""
    value = _number(dialogue, "outcome", "satisfaction")
    if dialogue.outcome.get("ended_by") in FAILURES:
        return 0.0
    if not 0.0 <= value <= 5.0:
        raise TdGymError(f"Dialogue {dialogue.index} of {dialogue.agent!r} has satisfaction {value}, outside 0..5.")
    return value


def finished(dialogue: Dialogue) -> float:
    """1 when the dialogue ended without format error and before the turn limit, else 0."""
    if "ended_by" not in dialogue.outcome:
        raise TdGymError(
            f"Dialogue {dialogue.index} of {dialogue.agent!r} has no outcome; evaluate finished dialogues."
        )
    return float(dialogue.outcome["ended_by"] not in FAILURES)


def voucher_given(dialogue: Dialogue) -> float:
    """1 when a voucher was issued, else 0."""
    return float(_number(dialogue, "outcome", "voucher") > 0)


def voucher_spend(dialogue: Dialogue) -> float:
    """Money issued in vouchers in the dialogue, in the order's currency."""
    spent = _number(dialogue, "costs", "voucher_amount", 0.0)
    if spent < 0:
        raise TdGymError(f"Dialogue {dialogue.index} of {dialogue.agent!r} has a negative voucher_amount.")
    return spent


def converted(dialogue: Dialogue) -> float:
    """1 when the customer bought, else 0."""
    return float(_flag(dialogue, "converted"))


def converted_of_reached(dialogue: Dialogue) -> float:
    """1 when a customer who stayed past the opening bought, 0 when not; NaN for those who did not stay."""
    return converted(dialogue) if _flag(dialogue, "reached") else math.nan


def identity_detected(dialogue: Dialogue) -> float:
    """1 when the customer noticed bot-like talk, else 0."""
    return float(_flag(dialogue, "identity_detected"))


def discount(dialogue: Dialogue) -> float:
    """Share of the coupon spent, 0..1; 0 without a sale."""
    return _number(dialogue, "outcome", "discount")


def informed(dialogue: Dialogue) -> float:
    """1 when what was offered satisfies all that the customer wanted, else 0."""
    return float(_flag(dialogue, "inform"))


def succeeded(dialogue: Dialogue) -> float:
    """1 when the customer was offered, told and booked all that it wanted, and all of it was right, else 0."""
    return float(_flag(dialogue, "success"))


def completed(dialogue: Dialogue) -> float:
    """1 when the customer was offered, told and booked all that it wanted, as far as it can know, else 0."""
    return float(_flag(dialogue, "complete"))


def booked(dialogue: Dialogue) -> float:
    """1 when all was booked that the customer wanted, and rightly, 0 when not; NaN where nothing was to be booked."""
    return math.nan if dialogue.outcome.get("book", False) is None else float(_flag(dialogue, "book"))


def look_ups(dialogue: Dialogue) -> float:
    """Look-ups in the dialogue as a share of twenty, at most 1."""
    return _number(dialogue, "costs", "db_queries")


def turns_taken(dialogue: Dialogue) -> float:
    """Number of messages of the service seat; a look-up without a word is none."""
    return _number(dialogue, "outcome", "turns")


def handed_off(dialogue: Dialogue) -> float:
    """1 when the conversation was transferred to a human, else 0."""
    return float(dialogue.outcome.get("ended_by") == "transferred")


def session_reward(dialogue: Dialogue) -> float:
    """What the service seat earned; NaN in a record from before it was kept."""
    return math.nan if dialogue.session_reward is None else float(dialogue.session_reward)


def goal_reached(dialogue: Dialogue) -> float:
    """1 when the service seat reached its goal, else 0."""
    return float(dialogue.succeeded)


def _spent(cost: str, dialogue: Dialogue) -> float:
    return _number(dialogue, "costs", cost, 0.0)


def _mark(principle: str, dialogue: Dialogue) -> float:
    return float(dialogue.verdict[principle]) if dialogue.verdict else math.nan


def verdict_score(dialogue: Dialogue) -> float:
    """Return the weighted mean of the marks of a language model, 0..100; NaN where none was asked."""
    return score(dialogue.verdict) if dialogue.verdict else math.nan


def goal_reward(dialogue: Dialogue) -> float:
    """Return the session reward of the service seat as a share of its range, 0..1."""
    headline = headline_of(dialogue.env)
    return (headline.of(dialogue) - headline.low) / (headline.high - headline.low)


FLUENCY = MetricSpec(
    "fluency", fluency, 0, 1, "share", False,
    "Mean share of well-formed sentences in the service's text, by a grammar no training signal uses.",
)  # fmt: skip
REPETITION = MetricSpec(
    "repetition", repetition, 0, 1, "share", True,
    "Mean share of the agent's word trigrams that stood in an earlier sentence of its own; less is better.",
    compared=True,
)  # fmt: skip
DISTINCT_2 = MetricSpec(
    "distinct_2", distinct_2, 0, 1, "share", False,
    "Mean share of word bigrams in the agent's text that are different ones; more is better.",
)  # fmt: skip
FINISHED = MetricSpec(
    "finish_rate", finished, 0, 1, "share of dialogues", True,
    "Share of dialogues that end without format error and before the turn limit.",
)  # fmt: skip
TURNS = MetricSpec(
    "turns", turns_taken, 0, math.inf, "messages", False,
    "Mean number of service messages; a look-up without a word is none.",
)  # fmt: skip

JUDGED: tuple[MetricSpec, ...] = (
    MetricSpec(
        "judged", verdict_score, 0, 100, "marks", False,
        "Mean mark of a language model that reads the whole dialogue: adaptation, stage, quality and, twice, rules.",
    ),
    *(
        MetricSpec(
            f"judged_{name}", partial(_mark, name), 0, 100, "marks", False,
            f"Mean mark of a language model for {name.replace('_', ' ')}.", shown=False,
        )
        for name in WEIGHTS
    ),
)  # fmt: skip

CONDUCT: tuple[MetricSpec, ...] = (
    MetricSpec(
        "engagement", engaged, 0, 1, "share", True,
        "Mean relevance of the service's messages to the customer, earlier ones counting more; turns that are left at "
        "the end count as 1 after a success, else as 0.", shown=False,
    ),
    MetricSpec(
        "goal_reward", goal_reward, 0, 1, "share", True,
        "Mean session reward of the service seat as a share of its range.", shown=False,
    ),
    MetricSpec(
        "sop_breaches", sop_breaches, 0, math.inf, "a dialogue", True,
        "Mean number of service messages per dialogue that the procedure did not admit when they were said; less is "
        "better.", shown=False,
    ),
    MetricSpec(
        "consistency", consistency, 0, 1, "share", True,
        "Mean share of the service messages with a strategy chosen beforehand that were read as that strategy.",
        shown=False,
    ),
)  # fmt: skip
"""Of every scenario."""

FOOD_DISPUTE: tuple[MetricSpec, ...] = (
    MetricSpec(
        "satisfaction", satisfaction, 0, 5, "points", True,
        "Mean closing satisfaction over all dialogues; turn limit and format error count 0.", compared=True,
    ),
    MetricSpec(
        "voucher_rate", voucher_given, 0, 1, "share of dialogues", True,
        "Share of dialogues in which a voucher is issued, also by what the customer wants.",
        budget="voucher", by="demand", compared=True,
    ),
    FINISHED,
    MetricSpec(
        "voucher_spend", voucher_spend, 0, math.inf, "SAR", True,
        "Mean money issued in vouchers per dialogue.", shown=False,
    ),
    MetricSpec(
        "handoff_rate", handed_off, 0, 1, "share of dialogues", True,
        "Share of dialogues transferred to a human.", shown=False,
    ),
    MetricSpec(
        "logic", logic, 0, 12, "points", False,
        "Sum of six 0/1/2 items: clarifies, evidence, facts, rules, words match actions, comes to a close.",
    ),
    MetricSpec(
        "communication", communication, 0, 28, "points", False,
        "Sum of fourteen 0/1/2 items on tone, answers, brevity and form.",
    ),
    FLUENCY,
    MetricSpec(
        "grounding", grounding, 0, 1, "share", False,
        "Mean share of named items, sums and times that are the briefing's, over dialogues that name any.",
    ),
    MetricSpec(
        "inconsistent", lambda dialogue: float(inconsistent(dialogue)), 0, 1, "share of dialogues", True,
        "Share of dialogues whose words and action disagree about a voucher.",
    ),
    TURNS,
    *JUDGED,
    *CONDUCT,
)  # fmt: skip

SALES: tuple[MetricSpec, ...] = (
    MetricSpec(
        "conversion_rate", converted, 0, 1, "share of dialogues", True,
        "Share of all dialogues that end in a sale.", compared=True,
    ),
    MetricSpec(
        "reached_conversion_rate", converted_of_reached, 0, 1, "share", True,
        "Share of the dialogues whose customer stayed past the opening that end in a sale; more is better.",
    ),
    REPETITION,
    MetricSpec(
        "identity_detection_rate", identity_detected, 0, 1, "share of dialogues", True,
        "Share of dialogues in which the customer noticed bot-like talk; less is better.", compared=True,
    ),
    MetricSpec(
        "compliance_violations", compliance_violations, 0, math.inf, "a dialogue", True,
        "Mean number of the briefing's rules broken per dialogue, each counted once a message; less is better.",
    ),
    MetricSpec(
        "profile_accuracy", profile_accuracy, 0, 1, "share", True,
        "Mean share of stated figures of the credit that are right; a question passed over is wrong. More is better.",
    ),
    MetricSpec(
        "discount_spend", discount, 0, 1, "share of the coupon", True,
        "Mean share of the coupon spent per dialogue, also by what the customer objects to.",
        budget="discount", by="objection", compared=True,
    ),
    DISTINCT_2,
    FLUENCY,
    TURNS,
    *JUDGED,
    *CONDUCT,
)  # fmt: skip

MULTIWOZ: tuple[MetricSpec, ...] = (
    MetricSpec(
        "success_rate", succeeded, 0, 1, "share of dialogues", True,
        "Share of dialogues in which all was offered, told and booked that the customer wanted, and rightly.",
        compared=True,
    ),
    MetricSpec(
        "inform_rate", informed, 0, 1, "share of dialogues", True,
        "Share of dialogues in which what was offered satisfies all constraints.", compared=True,
    ),
    MetricSpec(
        "book_rate", booked, 0, 1, "share", True,
        "Share of the dialogues with something to book in which all was booked rightly.", compared=True,
    ),
    MetricSpec(
        "complete_rate", completed, 0, 1, "share of dialogues", True,
        "Share of dialogues in which the customer has all it wanted, as far as it can know.", compared=True,
    ),
    MetricSpec(
        "db_queries", look_ups, 0, 1, "share of twenty", True,
        "Mean number of look-ups per dialogue as a share of twenty, also by the customer's style.",
        budget="db_queries", by="communication_style", compared=True,
    ),
    MetricSpec(
        "sourced", sourced, 0, 1, "share", True,
        "Mean share of stated numbers, codes and times that a tool or the customer gave before; more is better.",
    ),
    REPETITION,
    DISTINCT_2,
    FLUENCY,
    TURNS,
    *JUDGED,
    *CONDUCT,
)  # fmt: skip

BY_SCENARIO: Mapping[str, tuple[MetricSpec, ...]] = {"FoodDispute": FOOD_DISPUTE, "Sales": SALES, "MultiWOZ": MULTIWOZ}
"""Metrics by scenario, in the order of tables; the first is what its session reward pays."""


_VERSIONS = {"FoodDispute": "2"}
"""Version of a scenario's metrics, 1 where none is named: those of one version compare.  FoodDispute: until 2
``communication`` took nearly every customer for an angry one."""


def metrics_version(scenario_name: str) -> str:
    """Return the version of the metrics of a scenario, which results name; those that name none have version 1."""
    return _VERSIONS.get(scenario_name, "1")


def metrics_of(env: str) -> tuple[MetricSpec, ...]:
    """Return the metrics of environment id ``env``, or of the scenario of that name.

    A scenario without a list of its own has those that any can have.  Raises ``TdGymError`` where it is not registered.
    """
    name = env.rpartition("/")[2].partition("-v")[0]
    for scenario in (name, name.removesuffix("Strategy")):
        if scenario in BY_SCENARIO:
            return BY_SCENARIO[scenario]
        if scenario in scenario_names():
            return _of_any(scenario_class(scenario))
    raise TdGymError(
        f"No metrics are defined for {env!r}; defined: {', '.join(BY_SCENARIO)}, and those of a scenario of your own "
        f"once --env module:{without_module(env)} names the module that registers it."
    )


@lru_cache
def _of_any(scenario: type[Scenario]) -> tuple[MetricSpec, ...]:
    """Return the metrics that any scenario can have: what it pays, what it costs, and how it is talked."""
    low, high = scenario.reward_ranges["service"]
    costs = (
        MetricSpec(
            f"cost_{name}", partial(_spent, name), 0, math.inf, "a dialogue", True,
            f"Mean sum per dialogue of the cost {name}: {cost.description}.",
            budget=name if cost.budgeted else "", compared=cost.budgeted, shown=cost.budgeted,
        )
        for name, cost in scenario.costs.items()
    )  # fmt: skip
    return (
        MetricSpec(
            "session_reward", session_reward, low, high, "points", True, "Mean session reward of the service seat.",
            compared=True,
        ),
        MetricSpec(
            "success_rate", goal_reached, 0, 1, "share of dialogues", True,
            "Share of dialogues in which the service seat reached its goal.",
        ),
        *costs,
        FINISHED,
        DISTINCT_2,
        FLUENCY,
        TURNS,
        *JUDGED,
        *CONDUCT,
    )  # fmt: skip


def columns_of(env: str, more: Collection[str] = ()) -> list[MetricSpec]:
    """Return the metrics of environment id ``env`` that tables show: its own, and those named in ``more``."""
    return [spec for spec in metrics_of(env) if spec.shown or spec.name in more]


def check_columns(names: Iterable[str], envs: Iterable[str], what: str = "metric") -> None:
    """Raise ``TdGymError`` for the first of ``names``, ``what`` in its words, that is no metric of any of ``envs``."""
    known = {spec.name for env in envs for spec in metrics_of(env)}
    for name in names:
        if name not in known:
            raise unknown(what, name, known)


def headline_of(env: str) -> MetricSpec:
    """Return the metric of environment id ``env`` that is the mean of what its session reward pays."""
    return metrics_of(env)[0]


def spending_of(env: str) -> MetricSpec:
    """Return the metric of environment id ``env`` that is the mean of its budgeted cost."""
    return next(spec for spec in metrics_of(env) if spec.budget)


def compute(dialogues: Sequence[Dialogue]) -> dict[str, Values]:
    """Return every metric's values, one per dialogue in the given order, NaN where it does not apply.

    ``NAME/VALUE`` is a metric over the customers with that value of the trait it is reported by, where
    personas are recorded.  Raises ``TdGymError`` for no dialogues, for dialogues of several environments,
    and for a persona recorded without that trait.
    """
    if not dialogues:
        raise TdGymError("There are no dialogues to measure.")
    if len(envs := {dialogue.env for dialogue in dialogues}) > 1:
        raise TdGymError(
            f"These dialogues come from several environments ({', '.join(sorted(envs))}); measure each alone."
        )
    values: dict[str, Values] = {}
    for spec in metrics_of(dialogues[0].env):
        measured = np.array([spec.of(dialogue) for dialogue in dialogues], dtype=np.float64)
        values[spec.name] = measured
        held = [group_of(dialogue, spec) for dialogue in dialogues]
        for value in sorted(set(held) - {""}):
            here = np.array([each == value for each in held])
            values[f"{spec.name}/{value}"] = np.where(here, measured, np.nan)
    return values


def group_of(dialogue: Dialogue, spec: MetricSpec) -> str:
    """Return the customer's value of the trait that ``spec`` is reported by, empty where no persona is recorded.

    Raises ``TdGymError`` for a persona recorded without that trait.
    """
    if not spec.by or not dialogue.persona:
        return ""
    if spec.by not in dialogue.persona:
        raise TdGymError(f"Dialogue {dialogue.index} of {dialogue.agent!r} has no persona.{spec.by}; record it again.")
    return str(dialogue.persona[spec.by])


def cases_of(dialogues: Sequence[Dialogue]) -> npt.NDArray[np.int64]:
    """Return the number of each dialogue's case, one for each row of the scenario file, or each seed."""
    numbers: dict[int, int] = {}
    drawn = (dialogue.seed if dialogue.row is None else dialogue.row for dialogue in dialogues)
    return np.array([numbers.setdefault(case, len(numbers)) for case in drawn], dtype=np.int64)


def summarise(
    values: Mapping[str, Values], cases: npt.NDArray[np.int64] | None = None, seed: int = 0
) -> dict[str, Interval]:
    """Return mean and 95 % bootstrap interval over the ``cases`` of the dialogues to which each metric applies.

    ``n`` counts those dialogues; a metric that applies to none is left out.
    """
    summary = {}
    for name, measured in values.items():
        applies = ~np.isnan(measured)
        if applies.any():
            summary[name] = bootstrap_mean(measured[applies], seed, cases=None if cases is None else cases[applies])
    return summary


def _flag(dialogue: Dialogue, name: str) -> bool:
    value = dialogue.outcome.get(name)
    if not isinstance(value, bool):
        raise TdGymError(f"Dialogue {dialogue.index} of {dialogue.agent!r} has no true or false outcome.{name}.")
    return value


def _number(dialogue: Dialogue, part: str, name: str, default: float | None = None) -> float:
    held = dialogue.outcome if part == "outcome" else dialogue.costs
    value = held.get(name, default)
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise TdGymError(f"Dialogue {dialogue.index} of {dialogue.agent!r} has no finite number {part}.{name}.")
    return float(value)
