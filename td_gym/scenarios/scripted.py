"""What scripted agents of every scenario share: worded acts, the form of a message, who speaks when."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache

from personas.packaged import packaged_toml
from td_gym.draws import choice
from td_gym.episode import Episode
from td_gym.protocol import Messages, parse_message
from td_gym.slots import SLOT, fill_slots

_TAGGED = re.compile(r"<[^>]+>")


class CustomerPolicy:
    """A simulated customer.  ``reply`` returns its next message in one conversation.

    The message is a pure function of the case, the seed, the split, the messages so far and
    ``episode.memory["customer"]``, which is plain data; it does not depend on who says the service messages.
    """

    def __init__(self, reply: Callable[[Episode], str]) -> None:
        self._reply = reply

    def reply_batch(self, episodes: Sequence[Episode]) -> list[str]:
        """Return the next message of each conversation, the closing one with its end mark."""
        return [self._reply(episode) for episode in episodes]


class MessagePolicy(ABC):
    """A service agent that answers from chat messages alone, as any agent would."""

    @abstractmethod
    def act(self, messages: Messages, seed: int) -> str:
        """Return the next service message."""

    def reply_batch(self, episodes: Sequence[Episode]) -> list[str]:
        """Return the next service message of each conversation."""
        return [self.act(episode.messages("service"), episode.seed) for episode in episodes]


class EpisodePolicy(ABC):
    """A service agent that may look into the episode: an oracle, or one whose drafts are learned from."""

    @abstractmethod
    def draft(self, episode: Episode) -> str:
        """Return the next service message with unfilled slots."""

    def reply_batch(self, episodes: Sequence[Episode]) -> list[str]:
        """Return the next service message of each conversation, slots filled."""
        return [fill_slots(self.draft(each), each.messages("service"), each.scenario.slot_values) for each in episodes]


def wordings(package: str) -> Mapping[str, list[str]]:
    """Return a scenario's ``service.toml``: sentences with slots, by act."""
    return packaged_toml(package, "service.toml")


def word(table: Mapping[str, list[str]], acts: Iterable[str], used: frozenset[str], seed: int, turn: int) -> list[str]:
    """Return a sentence for each of ``acts``, none that stands in the messages ``used`` where there is a choice."""
    sentences = []
    for act in acts:
        variants = table[act]
        fresh = [v for v in variants if not any(_skeleton(v) in _skeleton(text) for text in used)]
        sentences.append(choice(fresh or variants, seed, turn, "word", act))
    return sentences


@lru_cache(maxsize=8192)
def _skeleton(text: str) -> str:
    """The longest slot-free stretch of a wording, to recognise it after filling."""
    return max(SLOT.split(text), key=len)


def compose(words: str, call: str = "", note: str | None = None) -> str:
    """Return a message of ``words`` that calls a tool; a ``note`` stands before, as private thought."""
    if note is not None:
        return f"<think>{note}</think><action>{call or 'chat'}</action><response>{words}</response>"
    return f"<action>{call}</action><response>{words}</response>" if call else words


@lru_cache(maxsize=8192)
def own_acts(text: str, detect_acts: Callable[[str], frozenset[str]]) -> frozenset[str]:
    """Return the acts in the words of an own earlier message, whatever tools it calls."""
    return detect_acts(parse_message(text, {}).response or _TAGGED.sub(" ", text))
