from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agents import agent
from evals import cli
from evals.dialogue import Dialogue, DialogueTurn
from evals.multiwoz.respond import Tolerated, responses
from td_gym.scenarios.multiwoz.files import load_dialogues
from td_gym.scenarios.multiwoz.recorded import RecordedCustomers
from td_gym.scenarios.multiwoz.synthetic import synthetic_database
from tests.multiwoz.published import metadata, write_21, write_tables

CITY = synthetic_database()
RESTAURANT = CITY.query("restaurant", {"food": "indian", "area": "centre"})[0]
STATION = CITY.tables["train"][0]["destination"]
CUSTOMER = [
    "I want an Indian restaurant in the centre.",
    f"Book {RESTAURANT['name']} for 2 people on monday at 17:30, and what is the phone number?",
    "Thank you, goodbye.",
    "You too, bye.",
]
SYSTEM = ["The Secret Plum it is.", "Booked under SECRET99.", "Goodbye.", "Bye."]
AGENT = "tests.evals.multiwoz.test_respond"


def write_data(folder: Path, area: str = "secretville", **goal: Any) -> Path:
    """Write the published layout with one test dialogue, whose annotations and goal nobody may see."""
    write_tables(folder / "db", CITY)
    acts = {"Restaurant-Inform": [["Name", "the secret plum"]]}
    log = [
        {"text": text, "metadata": metadata(area=area) if number % 2 else {}, "dialog_act": acts}
        for number, text in enumerate(text for pair in zip(CUSTOMER, SYSTEM, strict=True) for text in pair)
    ]
    write_21(folder / "MultiWOZ_2.1", "test", "SNG0001.json", log=log, **({"goal": goal} if goal else {}))
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_data(tmp_path / "data")


def answer(folder: Path, spec: str, *words: str) -> int:
    """Let an agent answer the dialogue in ``folder`` and return the exit code."""
    out = folder.parent / "out.json"
    return cli.main(["respond-multiwoz", "--agent", spec, "--data", str(folder), "--out", str(out), *words])


def answers(folder: Path) -> list[dict[str, Any]]:
    """Return the responses that were written."""
    predictions = json.loads((folder.parent / "out.json").read_text(encoding="utf-8"))
    assert list(predictions) == ["sng0001"]
    turns: list[dict[str, Any]] = predictions["sng0001"]
    return turns


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("td-gym: error: ")
    return line


def test_the_rule_agent_serves_a_recorded_customer(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(data, "scripted") == 0
    turns = answers(data)
    assert len(turns) == len(CUSTOMER)
    assert "[restaurant_name]" in turns[0]["response"]
    assert turns[0]["state"] == {"restaurant": {"food": "indian", "area": "centre"}}
    assert "[restaurant_reference]" in turns[1]["response"]
    assert "[restaurant_phone]" in turns[1]["response"]
    details = {"people": "2", "day": "monday", "time": "17:30"}
    named = {"restaurant": {"food": "indian", "area": "centre", "name": RESTAURANT["name"], **details}}
    assert [turn["state"] for turn in turns[1:]] == [named] * 3
    assert {*map(str, (turn["active_domains"] for turn in turns))} == {"['restaurant']"}
    assert "1 dialogues, 4 turns" in capsys.readouterr().out


def test_it_says_where_the_responses_came_from(data: Path) -> None:
    assert answer(data, "do_nothing", "--seed", "3") == 0
    source = json.loads((data.parent / "out.json.provenance.json").read_text(encoding="utf-8"))
    assert (source["agent"], source["split"], source["dialogues"], source["seed"]) == ("do_nothing", "test", 1, 3)
    assert (source["scenario"], source["invalid_messages"]) == ("MultiWOZ", 0)
    assert str(data) not in json.dumps(source)


def test_the_agent_is_made_for_the_device(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []
    real = agent.make

    def make(spec: str, device: str, **options: Any) -> agent.Agent:
        asked.append(device)
        return real(spec, **options)

    monkeypatch.setattr(agent, "make", make)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    assert answer(data, "do_nothing", "--device", "cuda") == 0
    assert asked == ["cuda"]
    source = json.loads((data.parent / "out.json.provenance.json").read_text(encoding="utf-8"))
    assert source["device"] == "cuda"
    assert answer(data, "do_nothing", "--device", "abacus", "--force") == 2
    assert "There is no device 'abacus'" in one_line(capsys)


SEEN: list[str] = []


class Dumper:
    """Says goodbye, looks things up, and keeps all that it is shown in ``SEEN``."""

    def reset(self, seed: int | None = None) -> None:
        SEEN.clear()

    def act(self, observation: Any, messages: Sequence[Any]) -> str:
        SEEN.append(json.dumps([observation["text"], *messages]) + str(observation["observation"].tolist()))
        return "Goodbye, that is all [end:1]." if len(messages) % 3 else "<action>query domain=police</action>"


def test_an_agent_sees_what_the_customer_said_and_nothing_else_of_the_recording(data: Path) -> None:
    assert answer(data, f"{AGENT}:Dumper") == 0
    assert all(text in SEEN[-1] for text in CUSTOMER)
    assert CUSTOMER[1] not in SEEN[0]
    for hidden in (*SYSTEM[:2], "secret", "german", "thai", "SNG0001", "sng0001"):
        assert not any(hidden.lower() in text.lower() for text in SEEN), hidden
    assert answers(data)[0]["state"] == {"restaurant": {"food": "indian", "area": "centre"}}


TABLE = {"people": "2", "day": "monday", "time": "17:30"}
GOALS: list[dict[str, Any]] = [
    {"restaurant": {"info": {"food": "indian"}, "book": {**TABLE, "day": "friday"}, "fail_book": {"day": "monday"}}},
    {"police": {"info": {}, "reqt": ["phone"]}},
]


@pytest.mark.parametrize("spec", ["scripted", f"{AGENT}:Dumper"])
def test_goals_and_annotations_change_nothing(spec: str, tmp_path: Path) -> None:
    views = []
    for number, goal in enumerate(GOALS):
        folder = write_data(tmp_path / str(number) / "data", area=("north", "east")[number], **goal)
        assert answer(folder, spec) == 0
        views.append((answers(folder), [*SEEN]))
    assert views[0] == views[1]


class Careless:
    """Writes what is no valid message, calls tools without end, or falls silent, but never ends a dialogue."""

    def reset(self, seed: int | None = None) -> None:
        self.turn = 0

    def act(self, observation: Any, messages: Sequence[Any]) -> str:
        self.turn += 1
        return ("<action>dance</action>", "<think>oh", "Your reference is [ref].")[self.turn % 3]


class Looker:
    def reset(self, seed: int | None = None) -> None:
        """Nothing to forget."""

    def act(self, observation: Any, messages: Sequence[Any]) -> str:
        return "<action>query domain=hotel</action>"


def test_messages_that_are_not_valid_are_silence(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(data, f"{AGENT}:Careless") == 0
    assert [turn["response"] for turn in answers(data)] == ["", "your reference is ref.", "", ""]
    assert "taken for silence: 3." in capsys.readouterr().out


def test_one_who_only_looks_things_up_says_nothing(data: Path) -> None:
    assert answer(data, f"{AGENT}:Looker") == 0
    assert [turn["response"] for turn in answers(data)] == [""] * 4


def test_batches_pass_through() -> None:
    class Batched:
        def reset(self, seed: int | None = None) -> None:
            """Nothing to forget."""

        def act(self, observation: Any, messages: Sequence[Any]) -> str:
            return self.act_batch([observation], [messages])[0]

        def act_batch(self, observations: Sequence[Any], messages: Sequence[Any]) -> list[str]:
            return ["<think>", "fine"][: len(messages)]

    agent = Tolerated(Batched(), RecordedCustomers(None, []))
    assert agent.act_batch([None] * 2, [[]] * 2) == ["", "fine"]
    assert agent.silenced == 1
    assert not hasattr(Tolerated(Careless(), RecordedCustomers(None, [])), "act_batch")


def test_states_and_domains_of_a_dialogue_by_hand() -> None:
    found = f"restaurant: 1 found | name={RESTAURANT['name']} | phone={RESTAURANT['phone']}"
    turns = (
        DialogueTurn("customer", "", "Hello, where is the police?"),
        DialogueTurn("service", "", "Near."),
        DialogueTurn("customer", "", "I want an Indian restaurant in the east."),
        DialogueTurn("service", "", "", action="query", tool_message=found),
        DialogueTurn("service", "", f"Their number is {RESTAURANT['phone']}."),
        DialogueTurn("customer", "", f"And a train to {STATION} please."),
        DialogueTurn("service", "", f"Sure. As I said, {RESTAURANT['phone']}."),
        DialogueTurn("customer", "", ""),
    )
    dialogue = Dialogue("", "", "", "test", 0, None, 0, "", turns, {}, {})
    restaurant = {"restaurant": {"food": "indian", "area": "east"}}
    assert responses(dialogue, CITY) == [
        {"response": "near.", "state": {}, "active_domains": ["police"]},
        {"response": "their number is [restaurant_phone].", "state": restaurant, "active_domains": ["restaurant"]},
        {
            "response": "sure. as i said, [restaurant_phone].",
            "state": {**restaurant, "train": {"destination": STATION}},
            "active_domains": ["restaurant"],
        },
    ]


BAD = {
    "the oracle": (["--agent", "oracle"], "Agent 'oracle' needs the running episode"),
    "an unknown agent": (["--agent", "scriptd"], "scriptd"),
    "an unknown split": (["--split", "tset"], "tset"),
    "a split without dialogues": (["--split", "train"], "holds no train split"),
    "no data": (["--data", "nowhere"], "There is no data directory 'nowhere'"),
    "no dialogues": (["--limit", "0"], "'0'"),
    "a folder": (["--out", "."], "is a folder"),
    "output in a file": (["--out", "FILE/deep"], "Cannot write into 'FILE'"),
    "a failing agent": (["--agent", f"{AGENT}:Failing"], "failed in dialogue 0: ValueError: broken."),
}


class Failing(Looker):
    def act(self, observation: Any, messages: Sequence[Any]) -> str:
        raise ValueError("broken")


def test_earlier_responses_are_replaced_only_by_force(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = data.parent / "out.json"
    out.write_text("notes", encoding="utf-8")
    assert answer(data, "scripted") == 2
    assert "add --force to replace it" in one_line(capsys)
    assert out.read_text(encoding="utf-8") == "notes"
    assert answer(data, "scripted", "--force") == 0
    assert answers(data)


@pytest.mark.parametrize(("words", "named"), BAD.values(), ids=BAD)
def test_bad_input_is_one_line(
    words: list[str], named: str, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(data.parent)
    Path("FILE").write_text("", encoding="utf-8")
    assert answer(data, "scripted", *words) == 2
    assert named in one_line(capsys)
    assert not (data.parent / "out.json").exists()


def test_published_dialogues_are_answered_and_scored(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "multiwoz"
    if not folder.is_dir():
        pytest.skip(f"no MultiWOZ data at {folder}")
    out = tmp_path / "out.json"
    words = ["--agent", "scripted", "--data", str(folder), "--limit", "20", "--out", str(out)]
    assert cli.main(["respond-multiwoz", *words]) == 0
    predictions = json.loads(out.read_text(encoding="utf-8"))
    recordings = load_dialogues(folder, "test")[:20]
    assert {name: len(turns) for name, turns in predictions.items()} == {
        recording.id.lower(): len(recording.turns) // 2 for recording in recordings
    }
    scores = tmp_path / "scores.json"
    assert cli.main(["score-multiwoz", str(out), "--data", str(folder), "--out", str(scores)]) == 0
    found = json.loads(scores.read_text(encoding="utf-8"))
    assert found["inform"] > 60
    assert found["success"] > 30
