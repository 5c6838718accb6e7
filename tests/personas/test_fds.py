from __future__ import annotations

import copy
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from personas import SPLITS, FdsError, FdsRow, Persona, load_rows, split_of_order
from personas.fds_traits import classify

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

ROW: dict[str, Any] = {
    "extra_info": {
        "interaction_kwargs": {
            "core_demand": {"core_need": "a refund", "core_need_type": "2"},
            "system_signal": {
                "faqType": "Food temperature issue",
                "foodInfo": "Grand Chicken Classic Meal*1,Processing Fee*2",
                "instantMessageMap": "User: null\nCourier: At the gate\nblue car\nUser: ok: coming",
                "merchantNameMap": {"en": "McDonald's"},
                "metadata": {"chatid": 1, "region": "SA"},
                "orderId": "ORD_1",
                "rcTag": "true",
            },
            "user_profile": {
                "category_info": {"category_key": "5"},
                "user_profile": {
                    "behavioralPatterns": {
                        "communicationStyle": "Polite and respectful, rarely terse or hostile.",
                        "informationDisclosure": "Proactive: shares multiple photos, no resistance.",
                        "problemSolvingApproach": "Collaborative; users follow every step.",
                    }
                },
            },
        }
    }
}
KWARGS = "extra_info.interaction_kwargs"
SIGNAL = f"{KWARGS}.system_signal"


def changed(field: str, value: object, drop: bool = False) -> dict[str, Any]:
    """Return a copy of ROW with the dotted ``field`` set to ``value``, or dropped."""
    row = copy.deepcopy(ROW)
    *outer, last = field.split(".")
    place = row
    for key in outer:
        place = place[key]
    if drop:
        del place[last]
    else:
        place[last] = value
    return row


def write(path: Path, *rows: dict[str, Any]) -> Path:
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


def load_one(tmp_path: Path, row: dict[str, Any]) -> FdsRow:
    return load_rows(write(tmp_path / "rows.parquet", row))[0]


def problem_of(path: Path) -> str:
    with pytest.raises(FdsError) as caught:
        load_rows(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_row(tmp_path: Path) -> None:
    row = load_one(tmp_path, ROW)
    assert (row.index, row.order_id, row.merchant, row.region) == (0, "ORD_1", "McDonald's", "SA")
    assert row.items == (("Grand Chicken Classic Meal", 1), ("Processing Fee", 2))
    assert row.issue == "cold"
    assert row.courier_chat == (("courier", "At the gate\nblue car"), ("customer", "ok: coming"))
    assert row.abnormal_report is True
    assert row.split == split_of_order("ORD_1")
    persona = row.persona
    assert (persona.cooperativeness, persona.demand) == (5, "refund_priority")
    assert persona.cell == ("polite", "forthcoming", "constructive", "calm", "refund_priority")
    assert Persona.from_json(persona.to_json()) == persona


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("Rice (red ,white)*1,Shawai With Rice*4", [("Rice (red ,white)", 1), ("Shawai With Rice", 4)]),
        ("Roti, Raita, Salad*1", [("Roti, Raita, Salad", 1)]),
        ("5* Burger*2,*Special* Tea*1", [("5* Burger", 2), ("*Special* Tea", 1)]),
        ("Wings*6 pieces*3", [("Wings*6 pieces", 3)]),
        (" Cola * 12 , Tea*1,", [("Cola", 12), ("Tea", 1)]),
        ("كبسة*2", [("كبسة", 2)]),
    ],
)
def test_item_names_may_hold_commas_and_stars(tmp_path: Path, text: str, items: list[tuple[str, int]]) -> None:
    assert list(load_one(tmp_path, changed(f"{SIGNAL}.foodInfo", text)).items) == items


@pytest.mark.parametrize(
    ("faq", "issue"),
    [
        ("Food taste below expectations", "taste"),
        ("Food not fresh/undercooked", "undercooked"),
        ("Missing items", "other"),
    ],
)
def test_issues(tmp_path: Path, faq: str, issue: str) -> None:
    assert load_one(tmp_path, changed(f"{SIGNAL}.faqType", faq)).issue == issue


def test_a_chat_may_be_empty(tmp_path: Path) -> None:
    assert load_one(tmp_path, changed(f"{SIGNAL}.instantMessageMap", "")).courier_chat == ()


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        (f"{SIGNAL}.foodInfo", "Tea*1,Cola", "has an item without a quantity: 'Cola'"),
        (f"{SIGNAL}.foodInfo", "Tea*one", "has an item without a quantity: 'Tea*one'"),
        (f"{SIGNAL}.foodInfo", "Tea*0", "has an item without a name or with quantity 0: 'Tea*0'"),
        (f"{SIGNAL}.foodInfo", "Tea*1,*2", "has an item without a name or with quantity 0: '*2'"),
        (f"{SIGNAL}.foodInfo", "Tea*1234567", "has an item without a quantity: 'Tea*1234567'"),
        (f"{SIGNAL}.foodInfo", 3, "must be str, not 3"),
        (f"{SIGNAL}.foodInfo", "  ", "is blank"),
        (f"{SIGNAL}.orderId", None, "is missing"),
        (f"{SIGNAL}.merchantNameMap.en", "", "is blank"),
        (f"{SIGNAL}.rcTag", "maybe", "must be one of true, false, not 'maybe'"),
        (f"{SIGNAL}.rcTag", True, "must be str, not True"),
        (f"{SIGNAL}.instantMessageMap", "hello", "must start with User: or Courier:, not 'hello'"),
        (f"{KWARGS}.core_demand.core_need_type", "9", "must be one of 1, 2, 3, 4, not '9'"),
        (f"{KWARGS}.user_profile.category_info.category_key", "0", "must be one of 1, 2, 3, 4, 5, not '0'"),
    ],
)
def test_a_malformed_row_names_file_row_and_field(tmp_path: Path, field: str, value: object, problem: str) -> None:
    bad = changed(field, value)
    # A column has one type, so a value of another type stands in both rows and the first is named.
    rows, index = ([ROW, bad], 1) if value is None or isinstance(value, str) else ([bad, bad], 0)
    path = write(tmp_path / "bad.parquet", *rows)
    assert problem_of(path) == f"{path}: row {index}: field {field} {problem}."


@pytest.mark.parametrize(
    "field",
    [
        f"{SIGNAL}.faqType",
        f"{SIGNAL}.metadata.region",
        f"{SIGNAL}.instantMessageMap",
        f"{KWARGS}.core_demand.core_need_type",
        f"{KWARGS}.user_profile.user_profile.behavioralPatterns.communicationStyle",
    ],
)
def test_a_missing_field_is_named(tmp_path: Path, field: str) -> None:
    path = write(tmp_path / "bad.parquet", changed(field, None, drop=True))
    assert problem_of(path) == f"{path}: row 0: field {field} is missing."


def test_a_null_row_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "bad.parquet", ROW, {"extra_info": None})
    assert problem_of(path) == f"{path}: row 1: field {SIGNAL}.orderId is missing."


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    good = write(tmp_path / "good.parquet", *[ROW] * 20).read_bytes()
    path = tmp_path / "bad.parquet"
    assert problem_of(path) == f"{path}: there is no such file."
    assert problem_of(tmp_path) == f"{tmp_path}: this is a folder; name the file."
    for content in (b"", b"PAR1", b"not a parquet file", good[: len(good) // 2], good[:-4], b"\0" * 200 + good[200:]):
        path.write_bytes(content)
        assert problem_of(path).startswith(f"{path}: this is not a complete, readable parquet file (")
    pq.write_table(pa.table({"prompt": ["hi"]}), path)
    assert problem_of(path) == f"{path}: this is not an FDS file, it has no column extra_info."


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "rows.parquet", ROW)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert problem_of(path) == 'Reading parquet files needs pyarrow: pip install "td-gym[data]".'


@pytest.mark.parametrize(
    ("texts", "traits"),
    [
        (
            (
                "Terse, abrupt and confrontational; little use of polite language.",
                "Minimal.",
                "They demand and insist.",
            ),
            ("terse", "reserved", "demanding", "hostile"),
        ),
        (
            (
                "Provocative and full of sarcasm and insults.",
                "Details are given only when asked.",
                "They wait to be led.",
            ),
            ("sarcastic", "on_request", "passive", "hostile"),
        ),
        (
            ("Warm, friendly, with emoji; greets and elaborates.", "Very forthcoming.", "Reactive and passive."),
            ("chatty", "forthcoming", "passive", "calm"),
        ),
        (
            ("Courteous, though disappointed and frustrated.", "Reluctant.", "Constructive."),
            ("polite", "reserved", "constructive", "upset"),
        ),
    ],
)
def test_traits_from_prose(texts: tuple[str, str, str], traits: tuple[str, ...]) -> None:
    assert tuple(classify(*texts).values()) == traits


@pytest.fixture(scope="module")
def published(shared_data: Path) -> dict[str, list[FdsRow]]:
    folder = shared_data / "fds"
    if not folder.is_dir():
        pytest.skip(f"no FDS files at {folder}")
    return {name: load_rows(folder / f"{name}.parquet") for name in ("train", "test")}


def test_every_published_row_loads(published: dict[str, list[FdsRow]]) -> None:
    assert {name: len(rows) for name, rows in published.items()} == {"train": 7680, "test": 256}
    rows = published["train"]
    assert [row.index for row in rows] == list(range(7680))
    assert len({row.order_id for row in rows}) == 1686
    levels = Counter(row.persona.cooperativeness for row in rows)
    assert [levels[level] for level in range(1, 6)] == [720, 2400, 1920, 1920, 720]
    assert Counter(row.persona.demand for row in rows) == {
        "refund_insistence": 3834,
        "feedback_focus": 1553,
        "compensation_flexible": 1237,
        "refund_priority": 1056,
    }
    assert Counter(row.issue for row in rows) == {"cold": 3261, "taste": 2835, "undercooked": 1584}


def test_published_rows_are_split_by_order(published: dict[str, list[FdsRow]]) -> None:
    rows = [row for file in published.values() for row in file]
    orders = defaultdict(set)
    for row in rows:
        orders[row.order_id].add(row.split)
    assert all(len(splits) == 1 for splits in orders.values())
    counts = Counter(next(iter(splits)) for splits in orders.values())
    for split, share in zip(SPLITS, (0.8, 0.1, 0.1), strict=True):
        assert counts[split] / len(orders) == pytest.approx(share, abs=0.03)


def test_traits_of_published_profiles_follow_cooperativeness(published: dict[str, list[FdsRow]]) -> None:
    personas = [row.persona for row in published["train"]]

    def share(level: int, trait: str, value: str) -> float:
        members = [persona for persona in personas if persona.cooperativeness == level]
        return sum(getattr(persona, trait) == value for persona in members) / len(members)

    assert share(1, "information_disclosure", "reserved") > 0.9
    assert share(1, "problem_solving", "demanding") > 0.9
    assert share(1, "emotional_style", "hostile") > 0.9
    assert share(3, "problem_solving", "passive") > 0.9
    assert share(4, "information_disclosure", "on_request") > 0.9
    assert share(5, "information_disclosure", "forthcoming") > 0.8
    assert share(5, "problem_solving", "constructive") > 0.9
    assert share(5, "emotional_style", "calm") > 0.9
    assert share(5, "communication_style", "terse") < 0.1 < share(5, "communication_style", "polite")
