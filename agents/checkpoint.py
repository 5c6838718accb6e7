"""Run directories: what they hold, and checkpoints that a kill at any moment leaves usable.

::

    config.json      settings, versions, fingerprint of the starting weights
    metrics.jsonl    one line per update
    model/           Hugging Face directory (safetensors, tokenizer, td_gym.json)
    state/           state.json (update, method) and tensors.safetensors (optimiser, value head)
    tensorboard/     events

``model`` and ``state`` must belong together.  A checkpoint is therefore written to
``next.partial``, renamed to ``next`` (from then on it counts), and only then moved into place;
whoever opens the run first finishes a move that was cut short.  Nothing here is pickled.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from td_gym.errors import TdGymError
from td_gym.json_data import as_object, field_of, read_json

CONFIG, METRICS, MODEL, STATE = "config.json", "metrics.jsonl", "model", "state"
_NEXT, _PARTIAL, _LOCK = "next", "next.partial", ".lock"
_BEFORE = frozenset((_LOCK, f"{CONFIG}.partial"))
"""What may lie in a run directory whose run has not begun."""
_COPIES = 10
"""Weights, their mean, a frozen reference and two moments of Adam, twice while one checkpoint replaces another."""
_SLACK = 20_000_000


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a run stood."""

    update: int
    """Updates done."""
    state: Mapping[str, Any]
    """Plain JSON."""
    tensors: Mapping[str, Tensor]


@contextmanager
def claimed(run: Path, model_bytes: int = 0) -> Iterator[None]:
    """Keep ``run``, which is made where it is missing, for this process; one that was killed keeps nothing.

    ``model_bytes`` is the size of the weights.  Raises ``TdGymError`` unless ``run`` can be written, has room for
    checkpoints of the model, and is claimed by nobody else.
    """
    lock = FileLock(run / _LOCK, timeout=0)
    try:
        run.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise TdGymError(f"Another process trains in {str(run)!r}; wait for it, or take another --out.") from None
    except OSError as error:
        raise TdGymError(f"Cannot write to {str(run)!r} ({error.strerror}); take another --out.") from error
    try:
        _check_room(run, model_bytes)
        yield
    finally:
        (run / _LOCK).unlink(missing_ok=True)
        lock.release()


def _check_room(run: Path, model_bytes: int) -> None:
    free = shutil.disk_usage(run).free
    needed = _COPIES * model_bytes + _SLACK
    if free < needed:
        raise TdGymError(
            f"{str(run)!r} has {free / 1e6:.0f} MB free and the run needs {needed / 1e6:.0f} MB; "
            "free some space or take another --out."
        )


def check_no_run(folder: Path) -> None:
    """Raise ``TdGymError`` where ``folder`` holds a run, whose place other weights would take by half."""
    if (folder / METRICS).exists():
        raise TdGymError(f"{str(folder)!r} holds a run of td-gym train; take another folder.")


def begin(run: Path, config: Mapping[str, Any]) -> None:
    """Write ``config.json`` of a new run; ``TdGymError`` when ``run`` already holds something."""
    if _is_used(run):
        raise TdGymError(f"{str(run)!r} is not empty; add --resume to go on with a run, or take another --out.")
    _write_config(run, config)


def _is_used(run: Path) -> bool:
    return any(file.name not in _BEFORE for file in run.iterdir())


def note_steps(run: Path, config: Mapping[str, Any], steps: int) -> None:
    """Let ``config.json`` of a run, which was ``config``, say that it goes on to ``steps`` updates."""
    if config["settings"].get("steps") != steps:
        _write_config(run, {**config, "settings": {**config["settings"], "steps": steps}})


def _write_config(run: Path, config: Mapping[str, Any]) -> None:
    partial = run / f"{CONFIG}.partial"
    partial.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(partial, run / CONFIG)


def read_config(run: Path) -> dict[str, Any]:
    """Return ``config.json`` of a run; ``TdGymError`` when there is none, or it is broken."""
    if not (run / CONFIG).exists():
        advice = "take another --out" if run.exists() and _is_used(run) else "start it without --resume"
        raise TdGymError(f"{str(run)!r} holds no run to resume; {advice}.")
    with _reading(run / CONFIG) as where:
        config = as_object(read_json(run / CONFIG), where)
        as_object(field_of(config, "settings", where), where)
    return config


def save(
    run: Path,
    update: int,
    write_model: Callable[[Path], None],
    state: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
) -> None:
    """Make the state after ``update`` updates the run's checkpoint; ``write_model`` fills a folder."""
    finish_move(run)
    partial = run / _PARTIAL
    shutil.rmtree(partial, ignore_errors=True)
    (partial / STATE).mkdir(parents=True)
    write_model(partial / MODEL)
    content = json.dumps({"update": update, **state}, indent=2, sort_keys=True)
    (partial / STATE / "state.json").write_text(content + "\n", encoding="utf-8")
    save_file({name: values.contiguous() for name, values in tensors.items()}, partial / STATE / "tensors.safetensors")
    os.replace(partial, run / _NEXT)
    finish_move(run)


def finish_move(run: Path) -> None:
    """Move a completed checkpoint into place; does nothing when none waits."""
    waiting = run / _NEXT
    if not waiting.exists():
        return
    for name in (MODEL, STATE):
        if (waiting / name).exists():
            shutil.rmtree(run / name, ignore_errors=True)
            os.replace(waiting / name, run / name)
    waiting.rmdir()


def load(run: Path) -> Checkpoint | None:
    """Return the last checkpoint of ``run``, or None when it was stopped before the first.

    Raises ``TdGymError`` when a file of it is broken.
    """
    update, state = _state(run)
    if not state:
        return None
    tensors = run / STATE / "tensors.safetensors"
    with _reading(tensors):
        return Checkpoint(update, state, load_file(tensors))


def updates_done(run: Path) -> int:
    """Return after how many updates the last checkpoint of ``run`` was made, 0 when there is none."""
    return _state(run)[0]


def _state(run: Path) -> tuple[int, dict[str, Any]]:
    """Return updates done and the whole of ``state.json``, 0 and nothing when there is none."""
    file = run / STATE / "state.json"
    if not file.exists():
        return 0, {}
    with _reading(file) as where:
        state = as_object(read_json(file), where)
        return int(field_of(state, "update", where)), state


@contextmanager
def _reading(file: Path) -> Iterator[str]:
    """Turn whatever is wrong with a ``file`` of a run into one line that says what can be done; yield its name."""
    where = repr(str(file))
    try:
        yield where
    except (TdGymError, OSError, TypeError, ValueError, SafetensorError) as error:
        raise TdGymError(f"{where} cannot be read, so this run cannot go on; take another --out.") from error


def cut_metrics(run: Path, update: int) -> None:
    """Drop from ``metrics.jsonl`` what was logged after ``update`` updates, a torn last line included."""
    cut(run / METRICS, update)


def cut(path: Path, lines: int) -> None:
    """Keep the first ``lines`` lines of a file, which need not exist yet."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text("".join(_lines(path)[:lines]), encoding="utf-8")
    os.replace(partial, path)


def whole_lines(path: Path) -> list[str]:
    """Return the lines of a file but for a torn last one; none where there is no file."""
    return [line for line in _lines(path) if line.endswith("\n")]


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []


def append_metrics(run: Path, update: int, metrics: Mapping[str, float]) -> None:
    """Add the line of one update to ``metrics.jsonl``."""
    with (run / METRICS).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"update": update, **dict(sorted(metrics.items()))}) + "\n")
