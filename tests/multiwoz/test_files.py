import json
import tarfile
from pathlib import Path

import pytest

from td_gym.errors import TdGymError
from td_gym.scenario import SPLITS
from td_gym.scenarios.multiwoz.cases import load_city
from td_gym.scenarios.multiwoz.database import QueryError
from td_gym.scenarios.multiwoz.files import load_database, load_dialogues, load_goals
from td_gym.scenarios.multiwoz.goals import DomainGoal, asked_values
from td_gym.scenarios.multiwoz.schema import Act
from tests.multiwoz.published import GOAL, record_21, record_22, write_21, write_22

STATE = {"restaurant": {"area": "centre", "people": "2"}}


def test_both_layouts_hold_the_same_dialogue(tmp_path):
    write_21(tmp_path / "MultiWOZ_2.1")
    write_22(tmp_path / "MultiWOZ_2.2")
    (old,) = load_dialogues(tmp_path / "MultiWOZ_2.1" / "..", "train")
    (new,) = load_dialogues(tmp_path / "MultiWOZ_2.2", "train")
    assert old == new
    assert (new.id, new.split) == ("MUL0001", "train")
    first, second, third, last = new.turns
    assert (first.speaker, first.text, first.state) == ("user", "In the center.", STATE)
    assert first.acts == (Act("inform", "restaurant", "area", "centre"),)
    assert (second.speaker, second.state) == ("system", STATE)
    assert second.acts == (Act("inform", "restaurant", "choice", "3"), Act("inform", "booking"))
    assert third.acts == (Act("bye", "general"),)
    assert last.acts == ()


def test_2_2_alone_has_no_goals(tmp_path):
    write_22(tmp_path)
    (dialogue,) = load_dialogues(tmp_path, "train")
    assert dialogue.goal is None
    with pytest.raises(TdGymError, match="no train split"):
        load_goals(tmp_path, "train")


def test_a_goal_of_2_1(tmp_path):
    write_21(tmp_path, "val")
    goal = load_goals(tmp_path, "validation")["MUL0001"]
    assert list(goal.domains) == ["train", "restaurant", "hotel", "taxi"]
    assert goal.domains["restaurant"] == DomainGoal(
        inform={"food": "thai", "area": "centre"},
        fail_inform={"food": "german", "area": "centre"},
        book={"people": "4", "day": "friday", "time": "18:00"},
        fail_book={"people": "4", "day": "friday", "time": "19:00"},
    )
    assert goal.domains["hotel"] == DomainGoal(inform={"name": "inn"}, request=("postcode", "internet"))
    assert goal.domains["train"] == DomainGoal({"destination": "ely", "leaveat": "09:15"}, request=("trainid",))
    assert goal.domains["taxi"].inform == {"leaveat": "17:15"}


def test_a_ride_between_two_venues(tmp_path):
    told = "It is a <span class='emphasis'>taxi</span>. Make sure it arrives the restaurant by the booked time"
    venues = {"hotel": GOAL["hotel"], "restaurant": GOAL["restaurant"], "taxi": GOAL["taxi"]}
    write_21(tmp_path, goal={**venues, "message": told})
    assert load_goals(tmp_path, "train")["MUL0001"].domains["taxi"].same == {
        "departure": "hotel",
        "destination": "restaurant",
    }
    write_21(tmp_path, goal={**venues, "message": "You want to leave the <span class='emphasis'>restaurant</span>"})
    assert load_goals(tmp_path, "train")["MUL0001"].domains["taxi"].same == {
        "departure": "restaurant",
        "destination": "hotel",
    }
    write_21(tmp_path, goal={**venues, "message": "Take a taxi."})
    with pytest.raises(TdGymError, match=r"MUL0001: goal\.taxi: neither"):
        load_goals(tmp_path, "train")


def test_an_archive_is_read_like_its_folder(tmp_path):
    write_22(tmp_path / "unpacked", "dev")
    with tarfile.open(tmp_path / "data.tar.xz", "w:xz") as archive:
        archive.add(tmp_path / "unpacked", arcname="data")
    assert load_dialogues(tmp_path / "data.tar.xz", "validation") == load_dialogues(tmp_path / "unpacked", "validation")
    with pytest.raises(TdGymError, match="holds no test split"):
        load_dialogues(tmp_path / "data.tar.xz", "test")
    whole = (tmp_path / "data.tar.xz").read_bytes()
    (tmp_path / "data.tar.xz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TdGymError, match=r"data\.tar\.xz' is not a whole tar archive"):
        load_dialogues(tmp_path / "data.tar.xz", "validation")


def test_missing_files_are_named(tmp_path):
    with pytest.raises(TdGymError, match=r"no data directory.*nowhere.*td-gym data"):
        load_dialogues(tmp_path / "nowhere", "train")
    with pytest.raises(TdGymError, match="holds no train split"):
        load_dialogues(tmp_path, "train")
    with pytest.raises(TdGymError, match="Unknown split 'dev'"):
        load_dialogues(tmp_path, "dev")
    with pytest.raises(TdGymError, match="no folder 'db'"):
        load_database(tmp_path)
    path = write_22(tmp_path)
    path.rename(path.with_name("dialogues_002.json"))
    with pytest.raises(TdGymError, match=r"no file .*dialogues_001\.json"):
        load_dialogues(tmp_path, "train")
    write_22(tmp_path)
    (tmp_path / "dialog_acts.json").unlink()
    with pytest.raises(TdGymError, match=r"no file .*dialog_acts\.json"):
        load_dialogues(tmp_path, "train")


def test_another_version_is_refused(tmp_path):
    (tmp_path / "data.json").write_text("{}")
    with pytest.raises(TdGymError, match=r"data\.json' is MultiWOZ of an unknown version.*2\.2.*2\.1"):
        load_dialogues(tmp_path, "train")


def test_a_damaged_zip_is_named(tmp_path):
    path = write_21(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:200])
    with pytest.raises(TdGymError, match=r"train\.json\.zip' is not a whole zip"):
        load_dialogues(tmp_path, "train")
    path.write_bytes(whole[:100] + bytes([whole[100] ^ 255]) + whole[101:])
    with pytest.raises(TdGymError, match=r"train\.json\.zip' is not a whole zip"):
        load_dialogues(tmp_path, "train")
    write_21(tmp_path, "test").rename(path)
    with pytest.raises(TdGymError, match=r"train\.json\.zip' holds no train\.json: it is of an unknown version"):
        load_dialogues(tmp_path, "train")


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path):
    zipped = write_21(tmp_path / "old")
    zipped.unlink()
    zipped.mkdir()
    with pytest.raises(TdGymError, match=r"^Cannot read '.*train\.json\.zip': Is a directory\.$"):
        load_dialogues(tmp_path / "old", "train")
    spoken = write_22(tmp_path / "new")
    spoken.unlink()
    spoken.mkdir()
    with pytest.raises(TdGymError, match=r"^Cannot read '.*dialogues_001\.json': Is a directory\.$"):
        load_dialogues(tmp_path / "new", "train")
    write_21(tmp_path / "lists")
    (tmp_path / "lists" / "testListFile").mkdir()
    with pytest.raises(TdGymError, match=r"^Cannot read '.*testListFile': Is a directory\.$"):
        load_dialogues(tmp_path / "lists", "train")


@pytest.mark.parametrize("opens", ["tarfile.open", "zipfile.ZipFile", "pathlib.Path.read_bytes"])
def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch, opens):
    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    layouts = {"tarfile.open": "data.tar.xz", "zipfile.ZipFile": "old", "pathlib.Path.read_bytes": "new"}
    write_21(tmp_path / "old")
    write_22(tmp_path / "new")
    (tmp_path / "data.tar.xz").write_bytes(b"")
    monkeypatch.setattr(opens, refuse)
    with pytest.raises(TdGymError, match=rf"^Cannot read '.*{layouts[opens]}.*': Permission denied\.$"):
        load_dialogues(tmp_path / layouts[opens], "train")


def test_a_name_that_is_too_long_is_no_traceback(tmp_path):
    for load in (load_dialogues, load_goals):
        with pytest.raises(TdGymError, match="'xxxx"):
            load(Path("x" * 5000), "train")
    with pytest.raises(TdGymError, match="'xxxx"):
        load_city("x" * 5000)


def test_text_that_is_no_text_is_named(tmp_path):
    write_21(tmp_path)
    (tmp_path / "testListFile").write_bytes(b"SNG0073\n\xff\xfe\n")
    with pytest.raises(TdGymError, match=r"testListFile' is not a list of dialogue ids"):
        load_dialogues(tmp_path, "train")
    path = write_22(tmp_path / "new")
    path.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(TdGymError, match=r"dialogues_001\.json' is not a whole JSON file"):
        load_dialogues(tmp_path / "new", "train")


def test_a_locked_zip_is_named(tmp_path, monkeypatch):
    def locked(*arguments):
        raise RuntimeError("File 'train.json' is encrypted, password required for extraction")

    write_21(tmp_path)
    monkeypatch.setattr("zipfile.ZipFile.read", locked)
    with pytest.raises(TdGymError, match=r"train\.json\.zip' is not a whole zip \(File 'train\.json' is encrypted"):
        load_dialogues(tmp_path, "train")


def test_a_truncated_file_is_named(tmp_path):
    path = write_22(tmp_path)
    path.write_text(path.read_text()[:-50])
    with pytest.raises(TdGymError, match=r"dialogues_001\.json' is not a whole JSON file"):
        load_dialogues(tmp_path, "train")


def test_a_test_dialogue_is_not_read_as_training(tmp_path):
    write_21(tmp_path)
    (tmp_path / "testListFile").write_text("SNG0073\nMUL0001\n")
    with pytest.raises(TdGymError, match=r"MUL0001 belongs to the test split.*testListFile"):
        load_dialogues(tmp_path, "train")


def changed(record, path, value):
    record = json.loads(json.dumps(record))
    place = record
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return record


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("turns",), {}, "MUL0001.json: turns must be a JSON list"),
        (("turns", 0, "utterance"), None, r"turn 0\.utterance must be text"),
        (("turns", 2, "frames", 0), {"service": "hotel"}, r"turn 2: frames\[0\] has no field 'state'"),
        (("turns", 2, "frames", 0, "state", "slot_values"), [], r"turn 2: frames\[0\]\.slot_values must be a JSON obj"),
        (("turns", 0, "frames", 0, "state", "slot_values"), {"restaurant-area": "centre"}, "restaurant-area must be"),
        (("turns", 0, "frames", 0, "state", "slot_values"), {"restaurant-colour": ["red"]}, "'restaurant-colour'"),
        (("turns", 0, "frames", 0, "service"), "bakery", r"turn 0: frames\[0\]\.slot_values: Unknown domain 'bakery'"),
        (("dialogue_id",), 7, r"dialogues_001\.json'\.dialogue_id must be text"),
    ],
)
def test_a_broken_dialogue_of_2_2_is_named_with_its_field(tmp_path, path, value, words):
    write_22(tmp_path, record=changed(record_22(), path, value))
    with pytest.raises(TdGymError, match=words) as raised:
        load_dialogues(tmp_path, "train")
    assert "dialogues_001.json" in str(raised.value)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("log",), None, "log must be a JSON list"),
        (("log", 1), {"text": "There are 3."}, r"log\[1\] has no field 'metadata'"),
        (("log", 1, "metadata", "restaurant"), {"semi": {}}, r"log\[1\]\.metadata\.restaurant has no field 'book'"),
        (("log", 1, "metadata", "restaurant", "semi", "colour"), "red", "metadata.restaurant: Unknown slot 'colour'"),
        (("log", 1, "metadata", "restaurant", "semi", "area"), 5, r"restaurant\.area must be words, not \[5\]"),
        (("log", 0, "dialog_act"), {"Hotel-Inform": [["Area"]]}, r"log\[0\]\.dialog_act\.Hotel-Inform must hold pairs"),
        (("goal", "restaurant", "info", "colour"), "red", r"goal: restaurant\.inform: Unknown slot 'colour'"),
        (("goal", "restaurant", "reqt"), "phone", r"goal\.restaurant\.reqt must be a JSON list"),
        (("goal",), None, "goal must be a JSON object, not null"),
    ],
)
def test_a_broken_dialogue_of_2_1_is_named_with_its_field(tmp_path, path, value, words):
    write_21(tmp_path, **changed(record_21(), path, value))
    with pytest.raises(TdGymError, match=words) as raised:
        load_dialogues(tmp_path, "train")
    assert "train.json.zip': MUL0001" in str(raised.value)


def test_published_dialogues_agree_in_both_layouts(shared_data: Path):
    folder = shared_data / "multiwoz"
    for split, count in (("validation", 999), ("test", 1000)):
        old = load_dialogues(folder / "MultiWOZ_2.1", split)
        again = load_dialogues(folder / "MultiWOZ_2.1_in_2.2_layout.tar.xz", split)
        new = {dialogue.id: dialogue for dialogue in again}
        assert len(old) == len(new) == count
        for dialogue in old:
            assert dialogue.split == split
            assert new[dialogue.id].goal == dialogue.goal is not None
            for turn, same in zip(dialogue.turns, new[dialogue.id].turns, strict=True):
                assert (turn.speaker, turn.state) == (same.speaker, same.state)
                assert sorted(turn.acts) == sorted(same.acts)


def test_published_sample_of_2_2(shared_data: Path):
    folder = shared_data / "multiwoz" / "MultiWOZ_2.2_sample"
    assert [len(load_dialogues(folder, split)) for split in SPLITS] == [17, 2, 2]
    first = load_dialogues(folder, "train")[0]
    assert first.id == "PMUL4398"
    assert first.turns[0].state == {"restaurant": {"area": "centre", "pricerange": "expensive"}}


def test_published_goals_can_be_met_and_fail_where_they_say_so(shared_data: Path):
    folder = shared_data / "multiwoz" / "MultiWOZ_2.1"
    goals = [*load_goals(folder, "validation").values(), *load_goals(folder, "test").values()]
    city = load_database(folder, asked_values(goals))
    parts = [(domain, part) for goal in goals for domain, part in goal.domains.items() if domain != "taxi"]
    unmet = [part.inform for domain, part in parts if not city.query(domain, part.inform)]
    assert len(unmet) <= 3  # names that the tables spell in another way
    failing = [(domain, part.fail_inform) for domain, part in parts if part.fail_inform]
    assert len(failing) > 400
    assert not any(city.query(domain, constraints) for domain, constraints in failing)
    with pytest.raises(QueryError, match="german"):
        load_database(folder).query("restaurant", {"food": "german"})
