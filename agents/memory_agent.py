"""``MemoryAgent``: a policy that drafts several replies and sends the one that similar cases speak for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from agents.cases import Memory, Similar, situation_of
from agents.sampler import Line, turn_uniforms
from agents.token_agent import BATCH, TokenAgent, digest
from agents.token_policy import Message, TokenPolicy
from td_gym.draws import mix
from td_gym.judges.replies import rouge_l
from td_gym.scenario import Scenario


class MemoryAgent(TokenAgent):
    """A ``TokenPolicy`` with a memory: of ``drafts`` replies, compared with ``similar`` cases, it sends one.

    Its first draft is what the policy alone would say.
    """

    def __init__(
        self,
        policy: TokenPolicy,
        scenario: Scenario,
        memory: Memory,
        *,
        similar: int,
        drafts: int,
        temperature: float = 1.0,
    ) -> None:
        super().__init__(policy, temperature=temperature)
        self._scenario, self._memory = scenario, memory
        self._similar, self._drafts = similar, drafts
        self._together = max(1, BATCH // drafts)

    def _reply(self, conversations: Sequence[Sequence[Message]]) -> list[str]:
        groups = [self._begun(messages) for messages in conversations]
        self._sample([line for lines in groups for line in lines], lambda ended: [], copies=self._drafts)
        return [
            self._sent(self._chosen(lines, messages), messages)
            for lines, messages in zip(groups, conversations, strict=True)
        ]

    def _begun(self, messages: Sequence[Message]) -> list[Line]:
        """Return a line for each draft of the reply to ``messages``."""
        key = mix(self._seed, digest(messages))
        uniforms = turn_uniforms(key, self._drafts * self.policy.max_new_tokens).reshape(self._drafts, -1)
        lines = [self._line(messages) for _ in uniforms]
        for line, own in zip(lines, uniforms, strict=True):
            line.begin(own)
        return lines

    def _chosen(self, lines: Sequence[Line], messages: Sequence[Message]) -> Line:
        situation = situation_of(messages, self._scenario.slot_values(messages))
        drafts = [self.policy.decode_reply(line.reply) for line in lines]
        return lines[most_agreeing(drafts, self._memory.similar(situation, self._similar))]


def most_agreeing(drafts: Sequence[str], found: Sequence[Similar]) -> int:
    """Return the index of the draft that agrees best with those of ``found``, the first of several.

    Agreement is the mean ROUGE-L, a case weighing its likeness times its session reward.
    """
    agreement = [
        sum(likeness * case.session_reward * _rouge_l(draft, case.draft) for case, likeness in found)
        for draft in drafts
    ]
    return agreement.index(max(agreement))


_rouge_l = lru_cache(maxsize=1 << 16)(rouge_l)
