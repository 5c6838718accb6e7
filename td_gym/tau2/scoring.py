"""What tau2 pays for a conversation, part by part; the parts are judged by tau2's own evaluators."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from tau2.data_model.simulation import TerminationReason
from tau2.data_model.tasks import RewardType
from tau2.evaluator.evaluator import EvaluationType, evaluate_simulation

from td_gym.errors import TdGymError
from td_gym.llm.client import ServerError
from td_gym.tau2.conversation import history_of, record_of

JUDGED = "nl_assertions"
"""The part that a language model judges."""
PARTS = {
    "db": (RewardType.DB, EvaluationType.ENV),
    "environment": (RewardType.ENV_ASSERTION, EvaluationType.ENV),
    "communicate": (RewardType.COMMUNICATE, EvaluationType.COMMUNICATE),
    "action": (RewardType.ACTION, EvaluationType.ACTION),
    JUDGED: (RewardType.NL_ASSERTION, EvaluationType.NL_ASSERTIONS),
}
"""By our name what a part is in a task's reward basis, and who judges it."""


class Score(NamedTuple):
    """What a conversation is worth."""

    reward: float
    """The product of the parts that were judged; without any, 1 for a conversation that was closed."""
    parts: dict[str, float | None]
    """Each part's reward; ``None`` where it is not in the task's basis, or was not judged."""
    unjudged: list[str]
    """Parts in the basis that were left out for want of a judge."""


def basis_of(task: Any) -> list[str]:
    """Return the parts in the task's reward basis."""
    criteria = task.evaluation_criteria
    return [] if criteria is None else [name for name, (kind, _) in PARTS.items() if kind in criteria.reward_basis]


def can_be_scored(task: Any, judge: bool) -> bool:
    """Return whether anything of the task's basis can be judged; without a ``judge`` no part that needs one."""
    return judge or basis_of(task) != [JUDGED]


def score(record: Any, task: Any, domain: str, solo: bool, judge: bool) -> Score:
    """Return what tau2 pays for a conversation.

    One that did not end by the customer's or the agent's closing it is worth 0 in every part, as tau2 has it.  Raises
    ``ServerError`` where the judge fails, ``TdGymError`` where tau2 cannot score it otherwise.
    """
    basis = basis_of(task)
    parts: dict[str, float | None] = dict.fromkeys(PARTS)
    found: dict[Any, Any] = {}
    for name in basis:
        kind, judged_by = PARTS[name]
        if name == JUDGED and not judge:
            continue
        if judged_by not in found:
            found[judged_by] = _evaluate(record, task, judged_by, solo, domain)
        told = found[judged_by]
        parts[name] = float((told.reward_breakdown or {}).get(kind, told.reward))
    if not found:  # nothing to be judged; tau2 pays for the end alone
        return Score(float(_evaluate(record, task, EvaluationType.ENV, solo, domain).reward), parts, [])
    reward = math.prod(part for part in parts.values() if part is not None)
    return Score(reward, parts, [name for name in basis if parts[name] is None])


def do_nothing(task: Any, domain: str, solo: bool, judge: bool) -> Score:
    """Return what tau2 pays for closing the task at once: a floor, for which no customer is asked."""
    record = record_of(task, history_of(task), TerminationReason.AGENT_STOP, None)
    return score(record, task, domain, solo, judge)


def _evaluate(record: Any, task: Any, judged_by: Any, solo: bool, domain: str) -> Any:
    try:
        return evaluate_simulation(record, task, judged_by, solo, domain)
    except Exception as error:
        fault = f"tau2 cannot score task {task.id!r}: {type(error).__name__}"
        if judged_by is EvaluationType.NL_ASSERTIONS:
            raise ServerError(f"{fault}, as where the judge's model fails. See tau2's own log.") from None
        raise TdGymError(f"{fault} while the calls are replayed or the task's assertions run.") from error
