"""A run stopped anywhere goes on to the same numbers; everything else is refused in one sentence."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from agents import checkpoint
from agents.trainer import TrainConfig, train
from td_gym.errors import TdGymError
from tests.agents.toy import run_toy, toy_config, toy_source


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


def _finished(run: Path) -> tuple[str, dict[str, torch.Tensor], str]:
    state = (run / "state" / "state.json").read_text()
    return (run / "metrics.jsonl").read_text(), load_file(run / "model" / "model.safetensors"), state


def _assert_same(one: Path, other: Path) -> None:
    (metrics, weights, state), (expected, expected_weights, expected_state) = _finished(one), _finished(other)
    assert metrics == expected
    assert state == expected_state
    assert weights.keys() == expected_weights.keys()
    assert all(torch.equal(weights[name], expected_weights[name]) for name in weights)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a function that gives the directory of a finished run of a method."""
    runs: dict[tuple[str, str], Path] = {}

    def run(method: str, preset: str) -> Path:
        if (method, preset) not in runs:
            runs[method, preset] = tmp_path_factory.mktemp("whole") / "run"
            run_toy(toy_config(runs[method, preset], method=method, preset=preset))
        return runs[method, preset]

    return run


@pytest.mark.parametrize(
    ("method", "preset", "at"),
    [("cmpo", "", 1), ("cmpo", "", 2), ("cmpo", "", 4), ("cmpo", "released", 4), ("ppo", "", 4), ("grpo", "", 6)],
)
def test_a_killed_run_resumes_to_the_same_numbers(
    tmp_path: Path, uninterrupted: Any, method: str, preset: str, at: int
) -> None:
    run = tmp_path / "run"
    config = toy_config(run, method=method, preset=preset)
    collect = toy_source(config)

    def dies(policy: Any, update: int) -> Any:
        if update == at:
            raise Killed
        return collect(policy, update)

    with pytest.raises(Killed):
        run_toy(config, dies)
    run_toy(toy_config(run, method=method, preset=preset, resume=True))
    _assert_same(run, uninterrupted(method, preset))


def test_a_killed_run_of_real_dialogues_resumes_to_the_same_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the last digit: where weights lie in memory decides how the kernels of a CPU round."""

    def run(name: str, resume: bool = False) -> None:
        few: dict[str, Any] = {"steps": 4, "customers": 2, "copies": 2, "checkpoint_every": 2}
        train(TrainConfig("gopo", "td_gym/Sales-v0", tmp_path / name, preset="random_expert", resume=resume, **few))

    append = checkpoint.append_metrics

    def dies(out: Path, update: int, metrics: Any) -> None:
        if update == 4:
            raise Killed
        append(out, update, metrics)

    run("whole")
    monkeypatch.setattr(checkpoint, "append_metrics", dies)
    with pytest.raises(Killed):
        run("killed")
    monkeypatch.undo()
    run("killed", resume=True)
    _assert_same(tmp_path / "killed", tmp_path / "whole")


@pytest.mark.parametrize("call", range(3))
def test_a_kill_while_a_checkpoint_is_written_loses_nothing(
    tmp_path: Path, uninterrupted: Any, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    """The second checkpoint is renamed three times: as a whole, then model, then state."""
    run = tmp_path / "run"
    replace, seen = os.replace, []

    def dies(source: Any, target: Any) -> None:
        if "next" in str(source):
            seen.append(source)
            if len(seen) == 3 + call + 1:
                raise Killed
        replace(source, target)

    monkeypatch.setattr(checkpoint.os, "replace", dies)
    with pytest.raises(Killed):
        run_toy(toy_config(run))
    monkeypatch.undo()
    run_toy(toy_config(run, resume=True))
    _assert_same(run, uninterrupted("cmpo", ""))


def test_a_torn_last_line_is_dropped(tmp_path: Path, uninterrupted: Any) -> None:
    run = tmp_path / "run"
    shutil.copytree(uninterrupted("cmpo", ""), run)
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"update": 7, "cha')
    run_toy(toy_config(run, resume=True))
    _assert_same(run, uninterrupted("cmpo", ""))


def test_a_finished_run_can_be_made_longer(tmp_path: Path, uninterrupted: Any) -> None:
    run = tmp_path / "run"
    run_toy(toy_config(run, steps=3))
    run_toy(toy_config(run, steps=6, resume=True))
    _assert_same(run, uninterrupted("cmpo", ""))
    assert json.loads((run / "config.json").read_text())["settings"]["steps"] == 6


def test_of_a_run_made_a_little_longer_the_latest_weights_are_the_same_and_their_mean_is_not(tmp_path: Path) -> None:
    whole, run = tmp_path / "whole", tmp_path / "run"
    run_toy(toy_config(whole, steps=6))
    run_toy(toy_config(run, steps=4))
    run_toy(toy_config(run, steps=6, resume=True))
    (metrics, weights, _), (expected, mean, _) = _finished(run), _finished(whole)
    latest, expected_latest = (load_file(each / "state" / "tensors.safetensors") for each in (run, whole))
    assert metrics == expected
    assert all(torch.equal(values, expected_latest[name]) for name, values in latest.items())
    assert any(not torch.equal(values, mean[name]) for name, values in weights.items())


def test_a_run_is_not_made_shorter_than_it_is(tmp_path: Path, uninterrupted: Any) -> None:
    run = tmp_path / "run"
    shutil.copytree(uninterrupted("cmpo", ""), run)
    with pytest.raises(TdGymError, match="has done 6 updates; resume it with at least as many steps, not 5"):
        run_toy(toy_config(run, steps=5, resume=True))
    _assert_same(run, uninterrupted("cmpo", ""))


def test_stages_that_are_shared_out_over_all_steps_bind_a_run_to_their_number(tmp_path: Path) -> None:
    """Of 4, 5 or 6 updates the first is reasoning alone; of 5 the third is half of it replies, of 6 it is not."""
    run, settings = tmp_path / "run", {"method": "more", "preset": "two_stage", "checkpoint_every": 1}
    collect = toy_source(toy_config(run, **settings))

    def dies_after(updates: int) -> Any:
        left = iter(range(2 * updates))  # two batches to an update

        def source(policy: Any, batch: int) -> Any:
            if next(left, None) is None:
                raise Killed
            return collect(policy, batch)

        return source

    with pytest.raises(Killed):
        run_toy(toy_config(run, steps=4, **settings), dies_after(1))
    with pytest.raises(Killed):
        run_toy(toy_config(run, steps=5, resume=True, **settings), dies_after(2))
    with pytest.raises(TdGymError, match=r"first 3 updates .* being 5 in all; resume .* with 5 steps, not 6"):
        run_toy(toy_config(run, steps=6, resume=True, **settings))
    run_toy(toy_config(run, steps=5, resume=True, **settings))
    run_toy(toy_config(tmp_path / "whole", steps=5, **settings))
    assert (run / "metrics.jsonl").read_text() == (tmp_path / "whole" / "metrics.jsonl").read_text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lr": 2e-3}, "started with lr 0.001, not 0.002"),
        ({"seed": 1}, "started with seed 0, not 1"),
        ({"budgets": {"voucher": 0.1}}, "started with budgets"),
        ({"method": "grpo"}, "started with method 'cmpo'"),
        ({"options": {"pid": {"kp": 1.0}}}, "started with options"),
    ],
)
def test_other_settings_are_not_resumed(
    tmp_path: Path, uninterrupted: Any, changes: dict[str, Any], message: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(uninterrupted("cmpo", ""), run)
    with pytest.raises(TdGymError, match=message):
        run_toy(toy_config(run, resume=True, **changes))


def test_a_setting_younger_than_the_run_had_its_default(tmp_path: Path, uninterrupted: Any) -> None:
    run = tmp_path / "run"
    shutil.copytree(uninterrupted("cmpo", ""), run)
    file = run / "config.json"
    config = json.loads(file.read_text())
    del config["settings"]["split"], config["opponent"]
    file.write_text(json.dumps(config))
    run_toy(toy_config(run, resume=True))
    file.write_text(json.dumps(config))
    with pytest.raises(TdGymError, match="started with split 'train', not 'validation'"):
        run_toy(toy_config(run, resume=True, split="validation"))


def test_another_protocol_is_refused_by_name(tmp_path: Path, uninterrupted: Any) -> None:
    run = tmp_path / "run"
    shutil.copytree(uninterrupted("cmpo", ""), run)
    file = run / "model" / "td_gym.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "protocol": "0"}))
    with pytest.raises(TdGymError, match="protocol version 0, this is version 1"):
        run_toy(toy_config(run, resume=True))


def test_a_directory_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(TdGymError, match="not empty; add --resume"):
        run_toy(toy_config(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_run_is_one_process_s_until_that_ends(tmp_path: Path) -> None:
    run = tmp_path / "run"
    claim = f"import time, pathlib, agents.checkpoint as c\nwith c.claimed(pathlib.Path({str(run)!r})):\n"
    held = subprocess.Popen(
        [sys.executable, "-c", f"{claim} print(flush=True); time.sleep(600)"], stdout=subprocess.PIPE
    )
    assert held.stdout is not None
    held.stdout.readline()
    for resume in (False, True):
        with pytest.raises(TdGymError, match="Another process trains in"):
            run_toy(toy_config(run, resume=resume))
    held.kill()
    held.communicate()
    run_toy(toy_config(run))
    assert not list(run.glob(".*"))


def test_a_run_that_was_killed_while_it_began_can_be_begun(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    for left in (".lock", "config.json.partial"):
        (run / left).write_text('{"settings": ')
    run_toy(toy_config(run))
    assert not [file.name for file in run.iterdir() if file.name.startswith(".") or file.suffix == ".partial"]


def test_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(TdGymError, match="no run to resume; start it without --resume"):
        run_toy(toy_config(tmp_path, resume=True))
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(TdGymError, match="no run to resume; take another --out"):
        run_toy(toy_config(tmp_path, resume=True))


@pytest.mark.parametrize("name", ["config.json", "state/state.json", "state/tensors.safetensors"])
@pytest.mark.parametrize("content", ['{"settings": ', "[1]", '{"settings": 3, "update": "x"}'])
def test_a_broken_file_is_named_with_advice_that_can_be_followed(
    tmp_path: Path, uninterrupted: Any, name: str, content: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(uninterrupted("cmpo", ""), run)
    (run / name).write_text(content)
    with pytest.raises(TdGymError, match=rf"{name}' cannot be read, .* take another --out\.$"):
        run_toy(toy_config(run, resume=True))


def test_an_unwritable_place_is_refused_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TdGymError, match="Cannot write to"):
        run_toy(toy_config(tmp_path / "file" / "run"))


def test_a_full_disk_is_refused_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint.shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    with pytest.raises(TdGymError, match=r"has 1 MB free and the run needs \d+ MB"):
        run_toy(toy_config(tmp_path / "run"))
