"""Finds and opens MultiWOZ's files as they are published.

Two layouts are known: that of 2.2 (``train/dialogues_001.json`` and so on with ``dialog_acts.json``), as a
folder or as a tar archive, and ConvLab's zips of 2.1 (``train.json.zip`` with goals, and ``trainListFile``).
A data directory is one of these, or holds them as ``MultiWOZ_2.2`` and ``MultiWOZ_2.1`` beside ``db``.
Every fault is one ``TdGymError`` that names file and field.
"""

from __future__ import annotations

import io
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from td_gym.errors import TdGymError, unknown
from td_gym.json_data import as_list, as_object, parse_json
from td_gym.scenarios.multiwoz.database import Database
from td_gym.scenarios.multiwoz.goals import Goal
from td_gym.scenarios.multiwoz.records import Dialogue, dialogue_21, dialogue_22, goal_21, plain_id

_FOLDERS = {"train": "train", "validation": "dev", "test": "test"}
_ZIPS = {"train": "train", "validation": "val", "test": "test"}
_LAYOUTS = "train/dialogues_001.json and so on (2.2), train.json.zip and so on (ConvLab's 2.1)"
_DAMAGE = (EOFError, RuntimeError, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, zlib.error)
"""What archives raise that are cut off, broken, or (``RuntimeError``) locked or packed in an unknown way."""


def load_database(data_dir: Path, also_known: Mapping[tuple[str, str], Iterable[str]] | None = None) -> Database:
    """Read the tables ``db/*_db.json`` in ``data_dir`` or beside it; ``also_known`` as for ``Database``."""
    for folder in (data_dir, data_dir.parent, data_dir.parent.parent):
        if (folder / "db").is_dir():
            return Database.load(folder / "db", also_known or {})
    raise TdGymError(f"There is no folder 'db' with MultiWOZ's *_db.json files in {str(data_dir)!r} or beside it.")


def load_dialogues(data_dir: Path, split: str) -> list[Dialogue]:
    """Read the dialogues of ``split`` (``train``, ``validation`` or ``test``), of 2.2 where these are there.

    The goals of 2.2's dialogues are those of ConvLab's zips, when these are there too.
    """
    zips = _zips(data_dir, split)
    layout = _layout_22(data_dir, split)
    if layout is not None:
        return _dialogues_22(_files(layout), split, load_goals(data_dir, split) if zips else {})
    if zips is None:
        raise _not_there(data_dir, split)
    records, place = _unzipped(zips, split)
    return [dialogue_21(name, split, record, f"{place}: {name}") for name, record in records.items()]


def load_goals(data_dir: Path, split: str) -> dict[str, Goal]:
    """Read the goals of the dialogues of ``split`` by id; only ConvLab's zips hold any."""
    zips = _zips(data_dir, split)
    if zips is None:
        raise _not_there(data_dir, split)
    records, place = _unzipped(zips, split)
    return {name: goal_21(record, f"{place}: {name}") for name, record in records.items()}


def goal_splits(data_dir: Path) -> tuple[str, ...]:
    """Return the splits whose goals are there, none with 2.2 alone; ``TdGymError`` where there is neither."""
    there = tuple(split for split in _ZIPS if _zips(data_dir, split))
    if not there and not any(_layout_22(data_dir, split) for split in _FOLDERS):
        raise _not_there(data_dir, "test")
    return there


def _layout_22(data_dir: Path, split: str) -> Path | None:
    """Return the folder or archive with the dialogues of 2.2."""
    return data_dir if data_dir.is_file() else _find(data_dir, "MultiWOZ_2.2", f"{_FOLDERS[split]}/dialogues_*.json")


def _zips(data_dir: Path, split: str) -> Path | None:
    if split not in _ZIPS:
        raise unknown("split", split, _ZIPS)
    return _find(data_dir, "MultiWOZ_2.1", f"{_ZIPS[split]}.json.zip")


def _find(data_dir: Path, name: str, pattern: str) -> Path | None:
    """Return the folder with files like ``pattern``: ``data_dir``, or ``name`` in it or beside it."""
    folders = (data_dir, data_dir / name, data_dir / "data" / name, data_dir.parent / name)
    try:
        return next((folder for folder in folders if any(folder.glob(pattern))), None)
    except OSError as error:
        raise _unreadable(data_dir, error) from error


def _not_there(data_dir: Path, split: str) -> TdGymError:
    if not data_dir.exists():
        return TdGymError(f"There is no data directory {str(data_dir)!r}; td-gym data multiwoz --dest DIR makes one.")
    other = data_dir / "data.json"
    if other.exists():
        return TdGymError(f"{str(other)!r} is MultiWOZ of an unknown version; known: {_LAYOUTS}.")
    return TdGymError(f"{str(data_dir)!r} holds no {split} split of MultiWOZ; known: {_LAYOUTS}.")


class _Files(NamedTuple):
    """The JSON files of a folder or of an archive, by their paths in it."""

    where: Path
    read: Mapping[str, Callable[[], bytes]]

    def json(self, name: str) -> Any:
        """Return the content of a file."""
        if name not in self.read:
            raise TdGymError(f"There is no file {self.place(name)}; it belongs to MultiWOZ 2.2.")
        return parse_json(self.read[name](), self.place(name))

    def place(self, name: str) -> str:
        """Return how an error names a file."""
        return repr(str(self.where / name))


def _files(layout: Path) -> _Files:
    if layout.is_dir():
        paths = [*layout.glob("*.json"), *layout.glob("*/*.json")]
        return _Files(layout, {path.relative_to(layout).as_posix(): partial(_read, path) for path in paths})
    read: dict[str, Callable[[], bytes]] = {}
    try:
        with tarfile.open(layout) as archive:
            for member in archive:
                content = archive.extractfile(member)
                if content is not None:
                    read[member.name.partition("/")[2]] = io.BytesIO(content.read()).getvalue
    except _DAMAGE as error:
        raise _damaged(repr(str(layout)), "tar archive", error) from error
    except OSError as error:
        raise _unreadable(layout, error) from error
    return _Files(layout, read)


def _dialogues_22(files: _Files, split: str, goals: Mapping[str, Goal]) -> list[Dialogue]:
    spoken = as_object(files.json("dialog_acts.json"), files.place("dialog_acts.json"))
    dialogues = []
    for number in range(1, _last(files, split) + 1):
        name = f"{_FOLDERS[split]}/dialogues_{number:03d}.json"
        place = files.place(name)
        for record in as_list(files.json(name), place):
            dialogues.append(dialogue_22(split, record, spoken, goals, place))
    return dialogues


def _last(files: _Files, split: str) -> int:
    """Return the number of the split's last file."""
    found = [re.fullmatch(rf"{_FOLDERS[split]}/dialogues_(\d+)\.json", name) for name in files.read]
    numbers = [int(name[1]) for name in found if name]
    if not numbers:
        raise _not_there(files.where, split)
    return max(numbers)


def _unzipped(zips: Path, split: str) -> tuple[dict[str, Any], str]:
    """Return the dialogues of one of ConvLab's zips by id, and how an error names the zip."""
    path = zips / f"{_ZIPS[split]}.json.zip"
    place, name = repr(str(path)), f"{_ZIPS[split]}.json"
    try:
        with zipfile.ZipFile(path) as packed:
            content = packed.read(name)
    except KeyError as error:
        raise TdGymError(f"{place} holds no {name}: it is of an unknown version; known: {_LAYOUTS}.") from error
    except _DAMAGE as error:
        raise _damaged(place, "zip", error) from error
    except OSError as error:
        raise _unreadable(path, error) from error
    records = {plain_id(name): record for name, record in as_object(parse_json(content, place), place).items()}
    _check_split(records, zips, split, place)
    return records, place


def _check_split(ids: Iterable[str], zips: Path, split: str, place: str) -> None:
    """Raise where a dialogue is in another split's list of ids."""
    lists = {other: zips / f"{prefix}ListFile" for other, prefix in _ZIPS.items() if other != split}
    listed = {
        plain_id(name): (other, path) for other, path in lists.items() if path.exists() for name in _read_ids(path)
    }
    for name in ids:
        if name in listed:
            other, path = listed[name]
            raise TdGymError(f"{place}: dialogue {name} belongs to the {other} split, as {str(path)!r} says.")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _read_ids(path: Path) -> list[str]:
    """Return the ids of dialogues that a list names."""
    try:
        return _read(path).decode("utf-8").split()
    except UnicodeDecodeError as error:
        raise TdGymError(f"{str(path)!r} is not a list of dialogue ids ({error}); download it again.") from error


def _unreadable(path: Path, error: OSError) -> TdGymError:
    return TdGymError(f"Cannot read {str(path)!r}: {error.strerror or error}.")


def _damaged(place: str, kind: str, error: Exception) -> TdGymError:
    return TdGymError(f"{place} is not a whole {kind} ({error or type(error).__name__}); download it again.")
