"""Policies that plan: one model names the strategy of each message, as the expert, and writes it, as the service agent.

Both roles are one model in one conversation, told apart by what they are asked.  The expert is asked first, and its
answer is decoded under the constraint that it is a strategy, with a mask one that the procedure admits; then the
service agent is asked for the message.  One conversation and one cache serve both, where two adapters would read every
dialogue twice and need a base that is left alone, which a model of a million parameters is not worth.  The price is
that the role which does not learn moves with the weights they share; ``losses/expert_moved`` and
``losses/service_moved`` say how far.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents.constraints import AllowedSets, Choices
from td_gym.draws import choice
from td_gym.episode import Episode
from td_gym.errors import TdGymError, as_flag, unknown
from td_gym.scenario import Scenario

if TYPE_CHECKING:
    from agents.token_policy import TokenPolicy

_NOTE = """

PLAN
Before each of your messages you are asked for its strategy: answer with the name of one and nothing else:
{strategies}
Then you are asked for the message, which follows that strategy."""
_WRITE = {"role": "user", "content": "Now the message."}
EXPERTS = ("policy", "random")


@dataclass(frozen=True, slots=True)
class Planning:
    """How a policy plans; saved beside its weights."""

    expert: str = "policy"
    """Who chooses: the ``policy``, or a ``random`` draw among the admissible strategies."""
    masked: bool = True
    """Whether the policy can choose admissible strategies only."""

    def __post_init__(self) -> None:
        if self.expert not in EXPERTS:
            raise unknown("expert", self.expert, EXPERTS)

    @classmethod
    def from_json(cls, value: Any) -> Planning:
        """Return the planning that a model's versions file records; ``TdGymError`` when it is something else."""
        if not isinstance(value, Mapping) or not value.keys() <= {"expert", "masked"}:
            raise TdGymError(f"A model's planning must hold 'expert' and 'masked', not {value!r}.")
        if "masked" in value:
            as_flag("A model's planning: masked", value["masked"])
        return cls(**value)


class Planner:
    """The expert's part of a policy: what it is asked, what it may answer, and what its answer means."""

    def __init__(self, policy: TokenPolicy, scenario: Scenario, planning: Planning) -> None:
        self.planning = planning
        self.sets = AllowedSets(policy.model.config.vocab_size)
        self._scenario = scenario
        self._tokens = {name: tuple(policy.encode_reply(name)) for name in scenario.strategies}
        self._names = {tokens: name for name, tokens in self._tokens.items()}
        self._choices: dict[tuple[str, ...], Choices] = {}
        self._request = policy.render_reply([_WRITE])
        self.longest = max(map(len, self._names)) + len(self._request)
        """Tokens that a strategy and the request for the message take up at most."""

    def opening(self, messages: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
        """Return ``messages`` with the note on planning at the end of the briefing."""
        briefing, *others = messages
        note = _NOTE.format(strategies=", ".join(self._scenario.strategies))
        return [{**briefing, "content": briefing["content"] + note}, *others]

    def choices(self, episode: Episode) -> Choices:
        """Return what the expert may answer now."""
        names = self._scenario.admissible(episode) if self.planning.masked else self._scenario.strategies
        if names not in self._choices:
            self._choices[names] = Choices([self._tokens[name] for name in names], self.sets)
        return self._choices[names]

    def draw(self, episode: Episode, key: int) -> str:
        """Return an admissible strategy, drawn by ``key``."""
        return choice(self._scenario.admissible(episode), key, "strategy")

    def name(self, tokens: Sequence[int]) -> str:
        """Return the strategy that the expert answered with."""
        return self._names[tuple(tokens)]

    def answer(self, strategy: str) -> list[int]:
        """Return the tokens of an expert's answer."""
        return list(self._tokens[strategy])

    def request(self) -> list[int]:
        """Return the tokens, after the expert's answer, that ask for the message."""
        return list(self._request)
