"""Recorded customers, and what is learnt from the recorded desk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agents.supervised import demonstrate
from evals import cli
from td_gym.errors import TdGymError
from td_gym.scenarios.multiwoz.answers import found
from td_gym.scenarios.multiwoz.briefing import Reading
from td_gym.scenarios.multiwoz.recorded import RecordedCustomers, exchanges, in_slots
from td_gym.scenarios.multiwoz.records import Dialogue, Turn
from td_gym.scenarios.multiwoz.scenario import MultiWOZ
from td_gym.scenarios.multiwoz.schema import Act
from td_gym.scenarios.multiwoz.synthetic import synthetic_database
from tests.multiwoz.published import write_21, write_tables

CITY = synthetic_database()
INDIAN = CITY.query("restaurant", {"food": "indian", "area": "centre"})
LOOK_UP = '<action>query domain=restaurant food="[wanted_food]" area="[wanted_area]"</action>'
DETAILS = 'name="[name]" people="[wanted_people]" day="[wanted_day]" time="[wanted_time]"'
BOOK = f"<action>book domain=restaurant {DETAILS}</action>"


def said(text: str, *acts: str) -> Turn:
    """A message of the desk with acts such as ``inform restaurant name the secret plum``."""
    return Turn("system", text, {}, tuple(Act(*act.split(" ", 3)) for act in acts))


def asked(text: str) -> Turn:
    return Turn("user", text, {}, ())


DIALOGUE = Dialogue(
    "SNG0001",
    "validation",
    (
        asked("I want an Indian restaurant in the centre."),
        said("The Secret Plum is lovely indian food .", "recommend restaurant name the secret plum"),
        asked("Book it for 2 people on monday at 17:30."),
        said("All booked , it is ABCD1234 .", "book booking ref abcd1234"),
        asked("What is the phone number?"),
        said("You never asked for the Blue Goose at 19:45 .", "inform restaurant name the blue goose"),
        asked("Thanks, goodbye."),
        said("Have a lovely day !", "bye general  "),
        asked("Bye."),
    ),
    None,
)


def test_the_recorded_desk_says_what_its_own_look_ups_bear_out() -> None:
    (shown,) = demonstrate(RecordedCustomers(None, [DIALOGUE]), 1, 0, "validation")
    *first, third, last = shown.drafts
    assert first == [LOOK_UP, "[name] is lovely indian food .", BOOK, "All booked , it is [ref] ."]
    assert "[phone]" in third  # the rule agent's words: no look-up has answered 19:45
    assert last == "Have a lovely day !"


def reading(*messages: tuple[str, str]) -> Reading:
    history = [{"role": "system", "content": ""}, *({"role": role, "content": text} for role, text in messages)]
    return Reading(history, CITY)


WANTS = ("user", "I want an Indian restaurant in the centre at 17:30.")
NAME = INDIAN[0]["name"]
FOUND = ("user", f"<tool_result>{found('restaurant', INDIAN)}</tool_result>")


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (said("Any day ?", "request restaurant day ?"), "Any day ?"),
        (said("Try [name] , the secret plum .", "inform restaurant name the secret plum"), "Try  , [name] ."),
        (said("There are 12 .", "inform restaurant choice 12"), "There are [count] ."),
        (said("There are many .", "inform restaurant choice many"), "There are many ."),
        (said("At 17:30 then ."), "At 17:30 then ."),
        (said("At 18:30 then ."), ""),
        (said("4 , with 4 stars .", "inform restaurant choice 4", "inform restaurant phone 4"), ""),
        (said("A or B .", "inform restaurant name a", "inform restaurant name b"), ""),
        (said(f"It is {NAME} ."), ""),
        (said("The train is TR1234 ."), ""),
        (said("Call 01223999999 ."), ""),
        (said("Nothing there .", "nooffer restaurant  "), ""),
        (said("It is booked .", "book booking  "), ""),
        (said("It is full .", "nobook booking  "), ""),
    ],
    ids=lambda value: value.text if isinstance(value, Turn) else "",
)
def test_replies_in_slots(reply: Turn, expected: str) -> None:
    assert in_slots(reply, reading(WANTS, ("assistant", LOOK_UP), FOUND), CITY) == expected


def test_nothing_is_learnt_from_the_test_split() -> None:
    recordings = [DIALOGUE, Dialogue("SNG0002", "test", DIALOGUE.turns, None)]
    with pytest.raises(TdGymError, match="SNG0002 is of the test split"):
        next(demonstrate(RecordedCustomers(None, recordings), 1, 0, "validation"))


def test_snapshots_hold_whose_words_are_replayed() -> None:
    one, other = (RecordedCustomers(None, [Dialogue(name, "train", DIALOGUE.turns, None)]) for name in "AB")
    episode = one.begin(3)
    assert one.restore(episode.snapshot()).case == episode.case
    for stranger in (other, MultiWOZ()):
        with pytest.raises(TdGymError, match="another case"):
            stranger.restore(episode.snapshot())


def test_only_what_was_answered_is_replayed() -> None:
    assert len(exchanges(DIALOGUE)) == 4
    with pytest.raises(TdGymError, match="Dialogue A has no customer's message"):
        exchanges(Dialogue("A", "test", DIALOGUE.turns[:1], None))


def test_recorded_customers_come_under_the_options_asked_for(tmp_path: Path) -> None:
    write_tables(tmp_path / "db", CITY)
    log = [{"text": turn.text, "metadata": {}, "dialog_act": {}} for turn in DIALOGUE.turns]
    write_21(tmp_path / "MultiWOZ_2.1", "val", "SNG0001.json", log=log)
    options: dict[str, Any] = {"population": "hard", "transfer": True, "disclosure": "paper", "max_chars": 200}
    asked_for = MultiWOZ(tmp_path, **options)
    recorded = asked_for.recorded("validation")
    assert isinstance(recorded, RecordedCustomers)
    assert (recorded.population.name, recorded.max_chars, recorded.max_turns) == ("hard", 200, 20)
    assert recorded.service_rules == asked_for.service_rules != MultiWOZ().service_rules
    assert recorded.begin(3).case.persona == asked_for.begin(3).case.persona
    with pytest.raises(TdGymError, match="Unknown population 'soft'"):
        RecordedCustomers(None, [DIALOGUE], population="soft")


def test_training_on_recorded_dialogues(tmp_path: Path) -> None:
    write_tables(tmp_path / "db", CITY)
    log = [{"text": turn.text, "metadata": {}, "dialog_act": {}} for turn in DIALOGUE.turns]
    write_21(tmp_path / "MultiWOZ_2.1", "val", "SNG0001.json", log=log)
    run = tmp_path / "run"
    assert cli.main([*TRAIN, "--data", str(tmp_path), "--split", "validation", "--out", str(run)]) == 0
    assert str(tmp_path) not in (run / "config.json").read_text()


TRAIN = ["train", "sft", "--preset", "recorded", "--env", "td_gym/MultiWOZ-v0", "--steps", "1", "--customers", "2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (TRAIN, "An invented city has no recorded dialogues"),
        ([*TRAIN, "--env", "td_gym/Sales-v0"], "Sales has no recorded dialogues"),
        ([*TRAIN, "--env", "td_gym/Sales-v0", "--data", "x"], "data_dir"),
        ([*TRAIN, "--split", "test"], "split"),
    ],
)
def test_what_cannot_be_learnt_from_is_one_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*arguments, "--out", str(tmp_path / "run")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "run" / "config.json").exists()
