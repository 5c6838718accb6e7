"""Cases, which are what was said in dialogues that succeeded, and finding those whose situation was alike.

How like two situations are is the cosine of their TF-IDF vectors (Salton and Buckley, Information Processing and
Management 24(5), 1988): a word that stands n times in a situation, and in d of N cases, weighs
(1 + ln n) ln(1 + N / d).
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from td_gym.errors import TdGymError
from td_gym.json_data import field_of, text_of
from td_gym.protocol import Messages

_MESSAGES = 2
"""Messages that make a situation: what the agent said last and what it was answered.  Tried on replies of successful
training dialogues: with more messages, the drafts of similar cases foretell the agent's own less well."""
_WORD = re.compile(r"\w+(?:'\w+)?")
_FIGURE = re.compile(r"\d+(?:[.,:]\d+)*")
_CAPITAL = re.compile(r"[A-Z]")


@dataclass(frozen=True, slots=True)
class Case:
    """A message of a dialogue that succeeded."""

    situation: str
    """What stood last in the conversation, as ``situation_of`` puts it."""
    draft: str
    """The message, with its slots unfilled."""
    session_reward: float
    """Of the whole dialogue; above 0."""


class Similar(NamedTuple):
    """A case that was found, and how like its situation is: above 0, and 1 for the same words."""

    case: Case
    likeness: float


def situation_of(messages: Messages, values: Mapping[str, str]) -> str:
    """Return the last messages of a conversation in small letters, a line each, behind the role that wrote it.

    A number is 0, and a name among ``values``, what the scenario's slots would be filled with here, is its slot.
    """
    return "\n".join(f"{each['role']}: {_masked(each['content'], values)}" for each in messages[1:][-_MESSAGES:])


def _masked(text: str, values: Mapping[str, str]) -> str:
    names = {value.lower(): name for name, value in values.items() if _CAPITAL.search(value)}
    text = " ".join(text.lower().split())
    if names:
        known = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
        text = re.sub(rf"(?<!\w)(?:{known})(?!\w)", lambda found: f"[{names[found[0]]}]", text)
    return _FIGURE.sub("0", text)


class Memory:
    """Cases by the words of their situations."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self.cases = tuple(cases)
        bags = [_words(case.situation) for case in self.cases]
        spread = Counter(word for bag in bags for word in bag)
        self._rarity = {word: math.log(1 + len(bags) / count) for word, count in spread.items()}
        columns: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
        for row, bag in enumerate(bags):
            for word, weight in self._vector(bag).items():
                columns[word].append((row, weight))
        self._columns = {word: _column(entries) for word, entries in columns.items()}

    def similar(self, situation: str, count: int) -> list[Similar]:
        """Return the ``count`` cases whose situations are most like this one, the earlier of two equals first.

        There are fewer where fewer share a word with it.
        """
        likeness = np.zeros(len(self.cases))
        for word, weight in self._vector(_words(situation)).items():
            rows, weights = self._columns[word]
            likeness[rows] += weight * weights
        best = np.argsort(-likeness, kind="stable")[:count]
        return [Similar(self.cases[row], float(likeness[row])) for row in best if likeness[row] > 0]

    def _vector(self, bag: Mapping[str, int]) -> dict[str, float]:
        """Return a situation's weights, of length 1; words that no case has are left out."""
        weights = {
            word: (1 + math.log(count)) * self._rarity[word] for word, count in bag.items() if word in self._rarity
        }
        length = math.hypot(*weights.values())
        return {word: weight / length for word, weight in weights.items()}


def _words(situation: str) -> Counter[str]:
    """Count the words of a situation; one that the other role wrote is another word."""
    found: Counter[str] = Counter()
    for line in situation.splitlines():
        role, _, text = line.partition(": ")
        found.update(f"{role} {word}" for word in _WORD.findall(text))
    return found


def _column(entries: Sequence[tuple[int, float]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    rows, weights = zip(*entries, strict=True)
    return np.array(rows, dtype=np.int64), np.array(weights)


def append_cases(path: Path, cases: Iterable[Case]) -> None:
    """Add ``cases`` to a file, one a line."""
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(asdict(case)) + "\n" for case in cases)


def read_cases(path: Path) -> list[Case]:
    """Return the cases of a file; ``TdGymError`` names the line that is broken, or says that there are none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TdGymError(f"Cannot read {str(path)!r} ({error}); train the memory again.") from error
    cases = [_case(line, f"{str(path)!r}, line {number}") for number, line in enumerate(lines, start=1)]
    if not cases:
        raise TdGymError(f"{str(path)!r} holds no case; train it for more --steps, or from a better --model.")
    return cases


def _case(line: str, where: str) -> Case:
    try:
        data = json.loads(line)
    except ValueError as error:
        raise TdGymError(f"{where} is not JSON ({error}); train the memory again.") from error
    reward = field_of(data, "session_reward", where)
    if not isinstance(reward, int | float) or not 0 < reward < math.inf:
        raise TdGymError(f"{where}.session_reward must be a number above 0, not {reward!r}.")
    return Case(text_of(data, "situation", where), text_of(data, "draft", where), float(reward))
