"""``TokenAgent``: a ``TokenPolicy`` in a seat, as evaluation and other people's loops meet it."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

from agents.decoder import Past
from agents.sampler import Answer, Line, turn_uniforms
from agents.token_policy import Message, TokenPolicy
from td_gym.draws import mix
from td_gym.episode import Episode

_REMEMBERED = 8192
"""Conversations whose tokens are kept; a forgotten one is rendered again from its messages."""
BATCH = 128
"""Replies sampled side by side."""


class TokenAgent:
    """A ``TokenPolicy`` as an agent: it reads chat messages and returns text with its slots filled.

    It remembers the tokens of its own replies, so that its history is what it sampled, and what the
    model made of them in the last ``kept`` conversations, so that no turn of these is read twice.  A draw is a
    function of the seed and of the conversation so far; who else is in the batch does not matter.
    Greedy at temperature 0.
    """

    def __init__(self, policy: TokenPolicy, *, temperature: float = 1.0, kept: int = BATCH) -> None:
        self.policy = policy
        self.temperature = temperature
        self.kept = kept
        self._together = BATCH
        self._room = policy.context - policy.max_new_tokens
        """Tokens that it may have read when a reply begins."""
        self._seed = 0
        self._histories: OrderedDict[int, list[int]] = OrderedDict()
        self._pasts: OrderedDict[int, tuple[int, Past]] = OrderedDict()

    def reset(self, seed: int | None = None) -> None:
        """Start afresh; ``seed`` fixes what is sampled from here on."""
        self._seed = self._seed if seed is None else seed
        self._histories.clear()
        self._pasts.clear()

    def act(self, observation: Any, messages: Sequence[Message]) -> str:
        """Return the next reply in one conversation."""
        return self.act_batch([observation], [messages])[0]

    def act_batch(self, observations: Sequence[Any], messages: Sequence[Sequence[Message]]) -> list[str]:
        """Return the next reply in each conversation."""
        order = sorted(range(len(messages)), key=lambda i: len(messages[i]))
        replies = [""] * len(messages)
        for first in range(0, len(order), self._together):
            part = order[first : first + self._together]
            for i, reply in zip(part, self._reply([messages[i] for i in part]), strict=True):
                replies[i] = reply
        return replies

    def reply_batch(self, episodes: Sequence[Episode]) -> list[str]:
        """Return the next message in each of ``episodes``: an agent is a ``SeatPolicy`` of the seat that it plays."""
        return self.act_batch([None] * len(episodes), [episode.messages(self.policy.seat) for episode in episodes])

    def _reply(self, conversations: Sequence[Sequence[Message]]) -> list[str]:
        lines = [self._line(messages) for messages in conversations]
        for line, messages in zip(lines, conversations, strict=True):
            self._begin(line, messages)
        return self._written(lines, conversations, lambda ended: [])

    def _line(self, messages: Sequence[Message]) -> Line:
        """Return a line that has read the conversation."""
        line = Line()
        replies = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
        said = digest(messages[: replies[-1] + 1]) if replies else None
        tokens = self._histories.get(said) if said is not None else None
        if said is not None and tokens is not None:
            closed = tokens[-1] == self.policy.end_id
            known = tokens + self.policy.render_reply(messages[replies[-1] + 1 :], ended=closed)
            if len(known) <= self._room:
                line.read(known)
                line.cached, line.past = self._pasts.pop(said, (0, None))
            else:  # as in training
                line.read(self.policy.render_recent(self._shown(messages), self._room))
        else:
            line.read(self.policy.render_fitting(self._shown(messages), self._room))
        return line

    def _begin(self, line: Line, messages: Sequence[Message]) -> None:
        """Let the reply to ``messages`` begin."""
        line.begin(turn_uniforms(mix(self._seed, digest(messages)), self.policy.max_new_tokens))

    def _written(self, lines: Sequence[Line], conversations: Sequence[Sequence[Message]], answer: Answer) -> list[str]:
        """Sample the lines to their ends and return the replies that they close with."""
        self._sample(lines, answer)
        return [self._sent(line, messages) for line, messages in zip(lines, conversations, strict=True)]

    def _sample(self, lines: Sequence[Line], answer: Answer, copies: int = 1) -> None:
        self.policy.write(lines, answer, temperature=self.temperature, copies=copies, save=self.kept > 0)

    def _sent(self, line: Line, messages: Sequence[Message]) -> str:
        """Return the reply that a line closes with, and remember its tokens."""
        text = self.policy.fill(self.policy.decode_reply(line.reply), messages)
        self._remember(digest([*messages, {"role": "assistant", "content": text}]), line)
        return text

    def _shown(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Return the messages of a conversation as the policy is shown them."""
        return messages

    def _remember(self, said: int, line: Line) -> None:
        self._histories[said] = line.tokens
        if line.past is not None:
            self._pasts[said] = line.cached, line.past
        for kept, most in ((self._histories, _REMEMBERED), (self._pasts, self.kept)):
            while len(kept) > most:
                kept.popitem(last=False)


def digest(messages: Sequence[Message]) -> int:
    """Return 64 bits that name a conversation so far."""
    text = json.dumps([[message["role"], message["content"]] for message in messages])
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")
