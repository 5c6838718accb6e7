"""Who plans: a strategy is chosen before each service message, and what the procedure does not admit is replaced."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from td_gym.envs.transcript import lines
from td_gym.episode import Episode
from td_gym.errors import TdGymError

EXPERT = "expert"
"""The agent that chooses strategies."""
BREACHES = "sop_breaches"
"""The cost of a choice that the procedure does not admit."""
_STRATEGY = "\n\nSTRATEGY\nYour next message follows this strategy: {strategy}"
_PLAN = """

PLAN
You choose the strategy of each service message before it is written. Answer with the name of one and nothing else:
{strategies}"""


def mask(episode: Episode) -> npt.NDArray[np.int8]:
    """Return 1 for each of ``scenario.strategies`` that is admissible now, shape ``(n,)``."""
    admissible = episode.scenario.admissible(episode)
    return np.array([strategy in admissible for strategy in episode.scenario.strategies], dtype=np.int8)


def in_force(episode: Episode, chosen: str) -> tuple[str, bool]:
    """Return the strategy that a choice puts in force, and whether it is the fallback for an inadmissible one."""
    scenario = episode.scenario
    admissible = chosen in scenario.admissible(episode)
    return (chosen, False) if admissible else (scenario.fallback_strategy, True)


def realise_choice(episode: Episode, chosen: str) -> tuple[str, str, bool]:
    """Return in template words the strategy that a choice puts in force, its name, and whether it is the fallback."""
    strategy, breach = in_force(episode, chosen)
    return episode.scenario.realise(episode.messages("service"), strategy, episode.seed), strategy, breach


class Plan:
    """A conversation in which an expert is asked for a strategy before every service message, look-ups included.

    Its choice is in force until the service seat has spoken, which ``episode.transcript`` tells, whoever submits the
    messages.  Service seat and expert read the same, but for what the seat thinks, and a note at the end of the
    briefing: which strategy is in force, and which there are.
    """

    def __init__(self, episode: Episode) -> None:
        self._episode = episode
        self._briefing = episode.messages("service")[0]["content"]
        self._options = _PLAN.format(strategies=", ".join(episode.scenario.strategies))
        self._chat = [{"role": "system", "content": self._briefing + self._options}]
        self._heard = 0
        """Turns of the transcript that are in the chat."""
        self._strategy = ""
        self._chosen_after = -1
        """Turns that had been said when the expert last chose."""

    @property
    def strategy(self) -> str:
        """The strategy in force for the next service message, empty while none is."""
        return self._strategy if self._chosen_after == len(self._episode.transcript) else ""

    @property
    def next_seat(self) -> str:
        """Who is asked next: the expert, where a service message is due and no strategy is in force."""
        seat = self._episode.next_seat
        return EXPERT if seat == "service" and not self.strategy else seat

    def choose(self, text: str) -> bool:
        """Take the expert's message, the name of a strategy, and return whether it was a breach.

        What the procedure does not admit, or is no strategy, is a breach, and puts the fallback strategy in force.
        Raises ``TdGymError`` when it is another's turn.
        """
        if self.next_seat != EXPERT:
            raise TdGymError(f"It is the turn of {self.next_seat!r}, not of {EXPERT!r}.")
        chosen = text.strip()[: self._episode.scenario.max_chars]
        self._hear()
        self._chat.append({"role": "assistant", "content": chosen})
        self._strategy, breach = in_force(self._episode, chosen)
        self._chosen_after = len(self._episode.transcript)
        return breach

    def mask(self) -> npt.NDArray[np.int8]:
        """Return 1 for each of ``scenario.strategies`` that the expert may choose now, shape ``(n,)``."""
        return mask(self._episode)

    def messages(self, agent: str) -> list[dict[str, str]]:
        """Return the conversation as chat messages of the expert or of a seat, fresh at every call.

        A seat's are those of the episode, the service seat's with its note.  In the expert's, ``assistant`` are its
        choices and ``user`` what both seats said.
        """
        if agent == EXPERT:
            self._hear()
            return list(map(dict.copy, self._chat))
        messages = self._episode.messages(agent)
        if agent == "service":
            messages[0]["content"] += self._note(agent)
        return messages

    def read(self, agent: str, text: str) -> str:
        """Return ``text``, all that the service seat may read, as the expert or that seat reads it: with its note."""
        end = len(self._briefing)
        return text[:end] + self._note(agent) + text[end:]

    def _note(self, agent: str) -> str:
        if agent == EXPERT:
            return self._options
        return _STRATEGY.format(strategy=self.strategy) if self.strategy else ""

    def _hear(self) -> None:
        """Add to the expert's chat what was said since it last heard."""
        episode = self._episode
        for turn in episode.transcript[self._heard :]:
            said = lines(turn, "service", episode.scenario.max_chars, notes=False).removeprefix("\n")
            self._chat.append({"role": "user", "content": said})
        self._heard = len(episode.transcript)
