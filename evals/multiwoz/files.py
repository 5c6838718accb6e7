"""Files of predictions and of the benchmark, read with a clear word about what is wrong in them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from evals.multiwoz.database import DOMAINS, Database
from evals.multiwoz.normalise import State, Value
from evals.multiwoz.success import DomainGoal, Goal
from td_gym.errors import TdGymError
from td_gym.json_data import as_list, as_object, as_text, as_texts, field_of, read_json

_FOLDERS = (".", "mwzeval_data", "mwzeval/data")
"""Where in a folder of data the files of the procedure may lie; the last is the standard repository's place."""


class Prediction(NamedTuple):
    """One turn of a system, as its file has it."""

    response: str
    state: State | None
    """``None`` where the file has no states."""
    active: tuple[str, ...] | None
    """The domains that the turn is about; ``None`` where the file does not say."""


def read_predictions(path: Path) -> dict[str, list[Prediction]]:
    """Return the turns of each dialogue in a file ``{id: [{response, state?, active_domains?}]}``.

    ``TdGymError`` names file, dialogue, turn (the first is 1) and field of whatever is wrong.
    """
    dialogues = as_object(read_json(path), str(path))
    if not dialogues:
        raise TdGymError(f"{path} holds no dialogues: write {{id: [{{'response': text}}, ...]}}.")
    return {name: _read_dialogue(turns, f"{path}: dialogue {name!r}") for name, turns in dialogues.items()}


def _read_dialogue(turns: object, where: str) -> list[Prediction]:
    entries = as_list(turns, where)
    if not entries:
        raise TdGymError(f"{where} has no turns.")
    return [_read_turn(turn, f"{where}, turn {number}") for number, turn in enumerate(entries, 1)]


def _read_turn(entry: object, where: str) -> Prediction:
    turn = as_object(entry, where)
    response = as_text(field_of(turn, "response", where), f"{where}, field 'response'")
    state = _read_state(turn["state"], f"{where}, field 'state'") if "state" in turn else None
    named = "active_domains"
    active = as_texts(turn[named], f"{where}, field {named!r}") if named in turn else None
    return Prediction(response, state, active)


def _read_state(entry: object, where: str) -> State:
    return {
        domain: _read_slots(slots, f"{where}, domain {domain!r}") for domain, slots in as_object(entry, where).items()
    }


def _read_slots(entry: object, where: str) -> dict[str, Value]:
    slots = as_object(entry, where)
    for slot, value in slots.items():
        if not isinstance(value, float | int | None):
            as_text(value, f"{where}, slot {slot!r}")
    return slots


class Benchmark:
    """What the standard procedure compares with, each file read when it is first asked for.

    The folder holds ``goals.json``, ``booked_domains.json``, ``database/*_db.json``, ``references/`` and, for
    predictions without states, the benchmark's own states. References and states of MultiWOZ 2.2 (``mwz22.json``,
    ``gold_states.json``) are taken if they are there, otherwise those derived from 2.1.
    """

    def __init__(self, folder: Path) -> None:
        found = [folder / inner for inner in _FOLDERS if (folder / inner / "goals.json").is_file()]
        if not found:
            places = ", ".join(str(folder / inner / "goals.json") for inner in _FOLDERS)
            raise TdGymError(f"No data of the standard procedure in {str(folder)!r}: looked for {places}.")
        self.folder = found[0]
        self.goals_path = self.folder / "goals.json"
        self.booked_path = self.folder / "booked_domains.json"
        self.table_paths = {domain: self.folder / "database" / f"{domain}_db.json" for domain in DOMAINS}
        self.references_path = self._first("references/mwz22.json", "references/mwz21_derived.json")
        self.states_path = self._first("gold_states.json", "gold_states.mwz21.json")

    def _first(self, *names: str) -> Path:
        paths = [self.folder / name for name in names]
        return next((path for path in paths if path.is_file()), paths[-1])

    @cached_property
    def database(self) -> Database:
        """The four tables."""
        return Database({domain: _read_table(path) for domain, path in self.table_paths.items()})

    def files(self) -> list[Path]:
        """Return the files that scores are computed from."""
        return [self.goals_path, self.booked_path, self.references_path, self.states_path, *self.table_paths.values()]

    def check_knows(self, predictions: Iterable[str], path: Path) -> None:
        """Raise ``TdGymError`` unless there are goals for all dialogues of the ``predictions`` read from ``path``."""
        for name in predictions:
            if name not in self._goals:
                raise TdGymError(f"{path}: dialogue {name!r} is not in {self.goals_path}; ids look like 'sng0073'.")

    def goal(self, dialogue: str) -> Goal:
        """Return what the user of ``dialogue`` wants."""
        entry, where = _entry(self._goals, dialogue, self.goals_path)
        domains = as_object(entry, where)
        return {domain: _read_goal(domains[domain], f"{where}, domain {domain!r}") for domain in domains}

    def booked(self, dialogue: str, turns: int) -> list[tuple[str, ...]]:
        """Return the domains booked at each of the first ``turns`` turns of ``dialogue``."""
        return [as_texts(domains, where) for domains, where in _turns(self._booked, dialogue, turns, self.booked_path)]

    def references(self, dialogue: str, turns: int) -> list[str]:
        """Return the normal reference responses of the first ``turns`` turns of ``dialogue``."""
        listed = _turns(self._references, dialogue, turns, self.references_path)
        return [as_text(text, where) for text, where in listed]

    def states(self, dialogue: str, turns: int) -> list[State]:
        """Return the benchmark's own states, in normal form, of the first ``turns`` turns of ``dialogue``."""
        return [_read_state(state, where) for state, where in _turns(self._states, dialogue, turns, self.states_path)]

    @cached_property
    def _goals(self) -> dict[str, Any]:
        return _read_object(self.goals_path)

    @cached_property
    def _booked(self) -> dict[str, Any]:
        return _read_object(self.booked_path)

    @cached_property
    def _references(self) -> dict[str, Any]:
        return _read_object(self.references_path)

    @cached_property
    def _states(self) -> dict[str, Any]:
        return _read_object(self.states_path)


def _read_goal(entry: object, where: str) -> DomainGoal:
    goal = as_object(entry, where)
    wishes = _read_slots(field_of(goal, "informable", where), f"{where}, field 'informable'")
    questions = as_texts(field_of(goal, "requestable", where), f"{where}, field 'requestable'")
    return DomainGoal(wishes, frozenset(questions))


def _read_table(path: Path) -> list[dict[str, Any]]:
    key = "trainID" if path.name == "train_db.json" else "id"
    rows = as_list(read_json(path), str(path))
    for number, row in enumerate(rows, 1):
        where = f"{path}: row {number}"
        field_of(row, key, where)
    return rows


def _read_object(path: Path) -> dict[str, Any]:
    return as_object(read_json(path), str(path))


def _turns(table: dict[str, Any], dialogue: str, turns: int, path: Path) -> list[tuple[object, str]]:
    """Return the first ``turns`` entries of a dialogue, each with its place for error messages."""
    entry, where = _entry(table, dialogue, path)
    entries = as_list(entry, where)
    if len(entries) < turns:
        raise TdGymError(f"{where} has {len(entries)} turns, but the predictions have {turns}.")
    return [(entry, f"{where}, turn {number}") for number, entry in enumerate(entries[:turns], 1)]


def _entry(table: dict[str, Any], dialogue: str, path: Path) -> tuple[object, str]:
    """Return the entry of a dialogue and its place for error messages."""
    if dialogue not in table:
        raise TdGymError(f"{path} lacks the dialogue {dialogue!r} of the predictions.")
    return table[dialogue], f"{path}: dialogue {dialogue!r}"
