import math
from collections import Counter
from pathlib import Path

import pytest

from evals import fidelity
from td_gym.errors import TdGymError
from td_gym.scenarios.multiwoz.scenario import MultiWOZ
from td_gym.scenarios.multiwoz.synthetic import synthetic_database

PNG = b"\x89PNG\r\n\x1a\n"


def test_divergence_is_that_of_jensen_and_shannon() -> None:
    assert fidelity.divergence({"a": 3, "b": 1}, {"a": 30, "b": 10}) == pytest.approx(0.0)
    assert fidelity.divergence({"a": 5}, {"b": 2}) == pytest.approx(1.0)
    with pytest.raises(TdGymError, match="too few dialogues to compare"):
        fidelity.divergence({"a": 5}, {})
    # p = (1, 0), q = (1/2, 1/2), middle (3/4, 1/4)
    by_hand = 0.5 * math.log2(4 / 3) + 0.5 * (0.5 * math.log2(2 / 3) + 0.5 * math.log2(2))
    assert fidelity.divergence({"a": 4}, {"a": 1, "b": 1}) == pytest.approx(by_hand)


def test_a_dialogue_is_counted_by_hand() -> None:
    talk = fidelity.Talk()
    talk.hear(
        ["I need a cheap hotel in the north .", "What is the phone number ?", "Thank you, goodbye."],
        synthetic_database(),
    )
    assert (talk.turns, talk.words) == ([3], [8, 5, 3])
    assert talk.informed["hotel pricerange"] == talk.informed["hotel area"] == talk.requested["phone"] == 1
    assert talk.distributions()["words a message"] == Counter({"05-09": 2, "00-04": 1})


def test_a_side_compared_with_itself_has_no_divergence() -> None:
    talk = fidelity.Talk()
    talk.hear(["I need a cheap hotel.", "What is the postcode?"], synthetic_database())
    report = fidelity.compare(talk, talk)
    assert {part["divergence_bits"] for part in report.values()} == {0.0}
    assert report["turns a dialogue"]["recorded_mean"] == 2.0


def test_the_simulated_customer_talks_much_like_the_recorded_ones(shared_data: Path) -> None:
    scenario = MultiWOZ(data_dir=shared_data / "multiwoz")
    real = fidelity.recorded(shared_data / "multiwoz", "validation", scenario.database)
    report = fidelity.compare(real, fidelity.simulated(scenario, "validation", 100))
    assert abs(report["turns a dialogue"]["simulated_mean"] - report["turns a dialogue"]["recorded_mean"]) < 1.5
    assert abs(report["words a message"]["simulated_mean"] - report["words a message"]["recorded_mean"]) < 2.0
    assert report["acts by intent"]["divergence_bits"] < 0.05
    assert report["informs by slot"]["divergence_bits"] < 0.1


def test_the_command_prints_and_writes_what_it_found(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = fidelity.simulated
    monkeypatch.setattr(fidelity, "simulated", lambda scenario, split, _: few(scenario, split, 5))
    arguments = ["--data", str(shared_data / "multiwoz"), "--split", "validation"]
    assert fidelity.main([*arguments, "--out", str(tmp_path / "f.json"), "--plot", str(tmp_path / "f.png")]) == 0
    assert "informs by slot" in capsys.readouterr().out
    assert (tmp_path / "f.png").read_bytes().startswith(PNG)
    written = (tmp_path / "f.json").read_text(encoding="utf-8")
    assert '"dialogues": 999' in written
    assert '"scenario": "MultiWOZ"' in written
    assert str(shared_data) not in written


def test_a_folder_without_data_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fidelity.main(["--data", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
