"""``PlanningAgent``: a policy that plans, in the service seat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agents.plans import Planner
from agents.sampler import Line, turn_uniforms
from agents.token_agent import TokenAgent, digest
from agents.token_policy import Message, TokenPolicy
from td_gym.draws import mix
from td_gym.episode import Episode
from td_gym.errors import TdGymError
from td_gym.scenario import Scenario


class PlanningAgent(TokenAgent):
    """A ``TokenPolicy`` that names the strategy of each message before it writes it.

    It is given the ``Episode``, of which it uses the messages and which strategies the procedure admits.
    """

    needs_episode = True

    def __init__(self, policy: TokenPolicy, scenario: Scenario, *, temperature: float = 1.0) -> None:
        super().__init__(policy, temperature=temperature)
        if policy.planning is None:
            raise TdGymError("This model does not plan; take a TokenAgent.")
        self._planner = Planner(policy, scenario, policy.planning)
        self._room -= self._planner.longest
        self.planned: list[str] = []
        """The strategies in force for the messages last written."""

    def act_batch(self, observations: Sequence[Any], messages: Sequence[Sequence[Message]]) -> list[str]:
        """Refuse: the words alone do not show which strategies are admissible."""
        raise TdGymError("An agent that plans needs the procedure's state; run it by td-gym evaluate or play.")

    def reply_batch(self, episodes: Sequence[Episode]) -> list[str]:
        """Return the next message in each of ``episodes``."""
        return self.act_episode_batch(episodes)

    def act_episode(self, episode: Episode) -> str:
        """Return the next message in ``episode``."""
        return self.act_episode_batch([episode])[0]

    def act_episode_batch(self, episodes: Sequence[Episode]) -> list[str]:
        """Return the next message in each of ``episodes``."""
        replies: list[str] = []
        planned: list[str] = []
        for first in range(0, len(episodes), self._together):
            replies += self._planned_replies(episodes[first : first + self._together])
            planned += self.planned
        self.planned = planned
        return replies

    def _planned_replies(self, episodes: Sequence[Episode]) -> list[str]:
        conversations = [episode.messages("service") for episode in episodes]
        lines = [self._line(messages) for messages in conversations]
        self.planned = [""] * len(lines)
        choosing = set()
        for i, (line, episode) in enumerate(zip(lines, episodes, strict=True)):
            key = mix(self._seed, digest(conversations[i]), "strategy")
            if self._planner.planning.expert == "random":
                drawn = self._planner.draw(episode, key)
                line.read(self._planner.answer(drawn))
                self._adopt(i, line, conversations[i], drawn)
            else:
                choices = self._planner.choices(episode)
                line.begin(turn_uniforms(key, choices.longest), choices)
                choosing.add(i)

        def answer(ended: list[int]) -> list[int]:
            chosen = [i for i in ended if i in choosing]
            for i in chosen:
                choosing.remove(i)
                self._adopt(i, lines[i], conversations[i], self._planner.name(lines[i].reply))
            return chosen

        return self._written(lines, conversations, answer)

    def _adopt(self, i: int, line: Line, messages: Sequence[Message], strategy: str) -> None:
        """Note the strategy, and ask for a message that follows it."""
        self.planned[i] = strategy
        line.read(self._planner.request())
        self._begin(line, messages)

    def _shown(self, messages: Sequence[Message]) -> Sequence[Message]:
        return self._planner.opening(messages)


def agent_of(policy: TokenPolicy, scenario: Scenario, *, temperature: float = 1.0) -> TokenAgent:
    """Return ``policy`` as an agent, one that plans where the policy does."""
    if policy.planning is None:
        return TokenAgent(policy, temperature=temperature)
    return PlanningAgent(policy, scenario, temperature=temperature)
