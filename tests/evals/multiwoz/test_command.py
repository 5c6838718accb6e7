from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from evals import cli
from tests.evals.multiwoz.world import PREDICTIONS, write, write_benchmark


def score(folder: Path, predictions: object, *words: str) -> int:
    """Score ``predictions`` against the town's benchmark and return the exit code."""
    path = write(folder / "predictions.json", predictions)
    data = write_benchmark(folder / "data")
    return cli.main(["score-multiwoz", str(path), "--data", str(data), "--out", str(folder / "out.json"), *words])


def without(field: str) -> dict[str, list[dict[str, Any]]]:
    return {
        name: [{key: value for key, value in turn.items() if key != field} for turn in turns]
        for name, turns in PREDICTIONS.items()
    }


def test_the_file_holds_exactly_the_standard_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert score(tmp_path, PREDICTIONS) == 0
    scores = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert scores["dialogues"] == {"sng1": [1, 1], "mul2": [0, 0]}
    assert (scores["inform"], scores["success"]) == (50.0, 50.0)
    assert scores["combined"] == pytest.approx(50 + scores["bleu"])
    assert (scores["unique_unigrams"], scores["unique_trigrams"]) == (7, 3)
    # "in which area", "name phone phone", "name is booked": nine words, of which name and phone stand twice. The pairs
    # name phone, name is and phone phone have p(w | v) = 1/2, the others 1: 3/9 bit.
    assert scores["cbe"] == pytest.approx(1 / 3)
    keys = ["inform", "success", "bleu", "combined", "cbe", "unique_unigrams", "unique_trigrams", "dialogues"]
    assert [*scores] == keys
    shown = capsys.readouterr().out
    assert "2 dialogues, 3 turns." in shown
    assert "Active domains: shipped; states: the file; references: mwz21_derived.json." in shown
    assert "50.00" in shown


def test_states_and_domains_that_the_file_lacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert score(tmp_path, without("state")) == 0
    own = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert own["dialogues"] == {"sng1": [1, 1], "mul2": [1, 0]}
    assert "states: gold_states.mwz21.json" in capsys.readouterr().out
    assert score(tmp_path, without("active_domains")) == 0
    assert "Active domains: state;" in capsys.readouterr().out
    assert score(tmp_path, PREDICTIONS, "--domains", "slots") == 0
    slots = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert slots["dialogues"] == {"sng1": [1, 1], "mul2": [0, 0]}


def test_references_of_22_go_first_and_other_layouts_are_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_benchmark(tmp_path / "repository" / "mwzeval" / "data")
    (folder / "references" / "mwz21_derived.json").rename(folder / "references" / "mwz22.json")
    path = write(tmp_path / "predictions.json", PREDICTIONS)
    words = ["score-multiwoz", str(path), "--data", str(tmp_path / "repository"), "--out", str(tmp_path / "out.json")]
    assert cli.main(words) == 0
    assert "references: mwz22.json." in capsys.readouterr().out


def test_dropped_placeholders_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predictions = deepcopy(PREDICTIONS)
    predictions["mul2"][0]["response"] = "[value_name] is booked by [Bus]"
    assert score(tmp_path, predictions) == 0
    assert "Placeholders of no known class, dropped: [bus] 1." in capsys.readouterr().out


TURN: dict[str, Any] = PREDICTIONS["mul2"][0]


@pytest.mark.parametrize("name", ["goals.json", "references/mwz21_derived.json", "database/restaurant_db.json"])
def test_scores_do_not_replace_what_they_are_computed_from(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_benchmark(tmp_path / "data")
    before = (data / name).read_bytes()
    assert score(tmp_path, PREDICTIONS, "--out", str(data / ".." / "data" / name)) == 2
    assert "would be lost" in one_line(capsys)
    assert (data / name).read_bytes() == before
    for _ in range(2):  # its own scores it does replace
        assert score(tmp_path, PREDICTIONS, "--out", str(data / "scores.json")) == 0


BAD_PREDICTIONS: dict[str, tuple[object, str]] = {
    "no object": ([TURN], "predictions.json must be a JSON object, not a list."),
    "empty": ({}, "predictions.json holds no dialogues"),
    "a dialogue that is no list": (
        {"mul2": TURN},
        "predictions.json: dialogue 'mul2' must be a JSON list, not an object.",
    ),
    "a dialogue without turns": ({"mul2": []}, "predictions.json: dialogue 'mul2' has no turns."),
    "a turn that is no object": ({"mul2": ["hello"]}, "dialogue 'mul2', turn 1 must be a JSON object, not 'hello'."),
    "no response": ({"mul2": [{"state": {}}]}, "dialogue 'mul2', turn 1 has no field 'response'."),
    "a response of another type": ({"mul2": [{**TURN, "response": 5}]}, "field 'response' must be text, not 5."),
    "a state of another type": ({"mul2": [{**TURN, "state": None}]}, "field 'state' must be a JSON object, not null."),
    "a domain of another type": (
        {"mul2": [{**TURN, "state": {"hotel": "north"}}]},
        "dialogue 'mul2', turn 1, field 'state', domain 'hotel' must be a JSON object, not 'north'.",
    ),
    "a value of another type": (
        {"mul2": [{**TURN, "state": {"hotel": {"area": ["north"]}}}]},
        "field 'state', domain 'hotel', slot 'area' must be text, not a list.",
    ),
    "domains of another type": (
        {"mul2": [{**TURN, "active_domains": "hotel"}]},
        "field 'active_domains' must be a JSON list, not 'hotel'.",
    ),
    "a domain that is no text": (
        {"mul2": [{**TURN, "active_domains": [1]}]},
        "field 'active_domains'[0] must be text, not 1.",
    ),
    "an unknown dialogue": ({"MUL2.json": [TURN]}, "predictions.json: dialogue 'MUL2.json' is not in"),
    "more turns than the dialogue has": ({"mul2": [TURN, TURN]}, "dialogue 'mul2' has 1 turns, but"),
}


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("td-gym: error: ")
    return line


@pytest.mark.parametrize(("predictions", "named"), BAD_PREDICTIONS.values(), ids=BAD_PREDICTIONS)
def test_bad_predictions_are_one_line(
    predictions: object, named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score(tmp_path, predictions) == 2
    assert named in one_line(capsys)
    assert not (tmp_path / "out.json").exists()


def test_predictions_that_are_no_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "predictions.json"
    words = ["score-multiwoz", str(path), "--data", str(write_benchmark(tmp_path)), "--out", str(tmp_path / "out.json")]
    assert cli.main(words) == 2
    assert "predictions.json" in one_line(capsys)
    path.write_text('{"mul2": [', encoding="utf-8")
    assert cli.main(words) == 2
    assert "predictions.json' is not a whole JSON file" in one_line(capsys)


BAD_BENCHMARK: dict[str, tuple[str, object, str]] = {
    "goals of another type": ("goals.json", [], "goals.json must be a JSON object, not a list."),
    "a goal without a field": (
        "goals.json",
        {"sng1": {"restaurant": {"informable": {}}}},
        "goals.json: dialogue 'sng1', domain 'restaurant' has no field 'requestable'.",
    ),
    "a wish of another type": (
        "goals.json",
        {"sng1": {"restaurant": {"informable": {"area": ["east"]}, "requestable": []}}},
        "domain 'restaurant', field 'informable', slot 'area' must be text, not a list.",
    ),
    "a dialogue without bookings": (
        "booked_domains.json",
        {},
        "booked_domains.json lacks the dialogue 'sng1' of the predictions.",
    ),
    "bookings of another type": (
        "booked_domains.json",
        {"sng1": [[], "hotel"]},
        "booked_domains.json: dialogue 'sng1', turn 2 must be a JSON list, not 'hotel'.",
    ),
    "a table that is no list": ("database/train_db.json", {}, "train_db.json must be a JSON list, not an object."),
    "a row without an id": ("database/hotel_db.json", [{"name": "x"}], "hotel_db.json: row 1 has no field 'id'."),
    "a reference of another type": (
        "references/mwz21_derived.json",
        {"sng1": ["hello", 5]},
        "mwz21_derived.json: dialogue 'sng1', turn 2 must be text, not 5.",
    ),
}


@pytest.mark.parametrize(("name", "content", "named"), BAD_BENCHMARK.values(), ids=BAD_BENCHMARK)
def test_bad_data_are_one_line(
    name: str, content: object, named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_benchmark(tmp_path / "data")
    path = write(tmp_path / "predictions.json", {"sng1": PREDICTIONS["sng1"]})
    words = ["score-multiwoz", str(path), "--data", str(data), "--out", str(tmp_path / "out.json")]
    write(data / name, content)
    assert cli.main(words) == 2
    assert named in one_line(capsys)
    (data / name).unlink()
    assert cli.main(words) == 2
    assert name in one_line(capsys)


@pytest.mark.parametrize(
    ("out", "named"), [("data", "is a folder; name a file"), ("predictions.json/x", "Cannot write")]
)
def test_a_place_that_takes_no_file_is_one_line(
    out: str, named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score(tmp_path, PREDICTIONS, "--out", str(tmp_path / out)) == 2
    assert named in one_line(capsys)
