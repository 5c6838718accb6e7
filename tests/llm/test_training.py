"""Learning from a customer on a server: recorded, repeated, gone on with after an outage."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason='needs the extra: pip install "td-gym[train]"')

from agents.trainer import TrainConfig, train
from evals.cli import main
from td_gym.llm import Models, Settings, Tape
from td_gym.llm.client import ServerError
from tests.llm.server import Answer, complains, serving

ENV = "td_gym/FoodDispute-v0"
ONCE = Settings(attempts=1)


def config(out: Path, url: str, **changes: Any) -> TrainConfig:
    few: dict[str, Any] = {"customers": 2, "copies": 2, "steps": 2, "checkpoint_every": 1, "average": 0.0}
    return TrainConfig("grpo", ENV, out, customer=f"llm:fake@{url}", **{**few, **changes})


def in_its_own_words(payload: dict[str, Any], number: int) -> Answer:
    return Answer(f"{number}. {complains(payload, 2)}")


def test_a_run_is_repeated_from_its_recording(tmp_path: Path) -> None:
    with serving(in_its_own_words) as server, Models(ONCE, Tape.record(tmp_path / "tape.jsonl")) as models:
        train(config(tmp_path / "first", server.url), models)
        assert models.usage()["customer"]["requests"] >= len(server.seen) >= 2 * 4
        url = server.url
    with Models(tape=Tape.replay(tmp_path / "tape.jsonl")) as models:
        train(config(tmp_path / "second", url), models)
    first, second = (tmp_path / name / "metrics.jsonl" for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()


def test_an_outage_is_an_error_and_a_recorded_run_goes_on_as_if_there_had_been_none(tmp_path: Path) -> None:
    down = False

    def behave(payload: dict[str, Any], number: int) -> Answer:
        return Answer(fault="500") if down and number > 18 else Answer(complains(payload, 2))

    with serving(behave) as server:
        train(config(tmp_path / "whole", server.url))
        server.seen.clear()
        down = True
        with Models(ONCE, Tape.record(tmp_path / "tape.jsonl")) as models, pytest.raises(ServerError, match="500"):
            train(config(tmp_path / "broken", server.url), models)
        down = False
        with Models(ONCE, Tape.record(tmp_path / "tape.jsonl")) as models:
            train(config(tmp_path / "broken", server.url, resume=True), models)
    whole, broken = (tmp_path / name / "metrics.jsonl" for name in ("whole", "broken"))
    assert whole.read_bytes() == broken.read_bytes()


def test_as_a_user_would(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    few = ["--steps", "1", "--customers", "2", "--copies", "2"]
    tape = tmp_path / "tape.jsonl"
    with serving(lambda payload, number: Answer(complains(payload, 2))) as server:
        words = ["train", "grpo", "--env", ENV, "--customer", f"llm:fake@{server.url}", *few, "--out"]
        assert main([*words, str(tmp_path / "run"), "--record", str(tape), "--nproc", "2"]) == 2
        assert "cannot make one recording" in capsys.readouterr().err
        assert not tape.exists()
        assert main([*words, str(tmp_path / "run"), "--record", str(tape)]) == 0
    monkeypatch.setitem(sys.modules, "openai", None)
    assert main([*words, str(tmp_path / "again"), "--replay", str(tape)]) == 0
    first, again = ((tmp_path / name / "metrics.jsonl").read_bytes() for name in ("run", "again"))
    assert first == again
