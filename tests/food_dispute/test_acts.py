"""Acts from free text: agreement with labelled utterances, denials, keyword lists, hostile input, load errors."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import td_gym
from personas.packaged import packaged_toml
from td_gym.errors import TdGymError
from td_gym.reading.grammar import build_reader
from td_gym.reading.lexicon import MEMO_LIMIT
from td_gym.reading.sentences import sentences
from td_gym.scenarios import food_dispute
from td_gym.scenarios.food_dispute.acts import SERVICE_ACTS, detect_acts, service_reader
from tests.bounded import bounded

DATA = Path(__file__).parent / "data"
Row = dict[str, Any]


def _rows(name: str) -> list[Row]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines() if line.strip()]


def _f1(rows: list[Row]) -> dict[str, float]:
    """Return F1 per act that occurs in ``rows``: 2 tp / (labelled + detected)."""
    counts = {name: [0, 0] for name in SERVICE_ACTS}
    for row in rows:
        wanted, found = set(row["acts"]), detect_acts(row["text"])
        for name in SERVICE_ACTS:
            counts[name][0] += 2 * (name in wanted and name in found)
            counts[name][1] += (name in wanted) + (name in found)
    return {name: hit / total for name, (hit, total) in counts.items() if total}


@pytest.mark.parametrize(
    ("name", "least", "floor"),
    [
        # Labelled without sight of the lexicon; the lexicon was then developed on misses of both files, so the floors
        # guard against regressions. Before any of its misses was seen, the fresh file scored 0.947.
        ("service_utterances.jsonl", 590, 0.95),
        ("service_utterances_fresh.jsonl", 150, 0.97),
        ("acts_own.jsonl", 60, 0.97),
    ],
)
def test_service_acts_agree_with_labelled_utterances(name: str, least: int, floor: float) -> None:
    rows = _rows(name)
    assert len(rows) >= least
    scores = _f1(rows)
    assert set(scores) == set(SERVICE_ACTS)
    assert sum(scores.values()) / len(scores) >= floor, scores
    assert min(scores.values()) >= 0.85, scores


def _wordings() -> list[tuple[str, str]]:
    table = packaged_toml(food_dispute.__name__, "service.toml")
    orders = [
        {
            "item": "Chicken Tikka",
            "restaurant": "Golden Wok",
            "minutes": "25 minutes",
            "delivered": "19:10",
            "promised": "18:45",
            "reporter": "restaurant",
            "amount": "5.20",
        },
        {
            "item": "Margherita Pizza",
            "restaurant": "Bella Napoli",
            "minutes": "1 minute",
            "delivered": "7:05 pm",
            "promised": "7:01 pm",
            "reporter": "courier",
            "amount": "£3",
        },
    ]
    return [(key, _fill(draft, slots)) for slots in orders for key, drafts in table.items() for draft in drafts]


def _fill(draft: str, slots: dict[str, str]) -> str:
    for name, value in slots.items():
        draft = draft.replace(f"[{name}]", value)
    assert "[" not in draft
    return draft


@pytest.mark.parametrize(("key", "text"), _wordings())
def test_every_scripted_wording_carries_the_act_its_key_names(key: str, text: str) -> None:
    found = detect_acts(text)
    if key.startswith("admit_"):
        assert "admit_fault" in found <= {"admit_fault", "explain"}
    elif key == "stall":
        assert found == frozenset()
    else:
        assert found == {"explain" if key.startswith("explain_") else key}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("I will refund the bag.", ""),
        ("I will refund the order.", "promise_refund"),
        ("I'll refund the amount of 5.", "promise_refund"),
        ("I'll refund.", "promise_refund"),
        ("You will get all of it back on Friday.", "promise_refund"),
        ("Thanks for your patience, goodbye.", "close"),
        ("Our tracking indicates a delay of 20 minutes.", "explain"),
        ("There is a report by the restaurant on this order.", "explain"),
        ("The order left the kitchen at 18:40.", "explain"),
        ("It reached you at 19:10, 25 minutes after the promised time.", "explain"),
        ("The reason was a flat tyre.", "explain"),
        ("This was the fault of our courier.", "admit_fault"),
        ("It was the mistake of the restaurant.", "admit_fault"),
        ("That's on us.", "admit_fault"),
        ("Our courier handled this badly.", "admit_fault"),
        ("That was not the fault of our courier.", ""),
        ("If it was the fault of the restaurant, we will see.", ""),
    ],
)
def test_plain_sentences_carry_exactly_their_act(text: str, wanted: str) -> None:
    assert detect_acts(text) == frozenset(wanted.split())


@pytest.mark.parametrize(
    ("text", "absent", "present"),
    [
        ("If it were up to me I'd refund you, but I can't", "promise_refund", "refuse_refund"),
        ("I'm not saying it was our fault, but I am sorry.", "admit_fault", "apologise"),
        ("I can't offer a voucher, but I'll refund you in full.", "offer_voucher", "promise_refund"),
        ("Nobody will call you back, I'm afraid. Bye.", "promise_callback", "close"),
        ("I'm not a robot. What was missing?", "reveal_ai", "ask_details"),
        ("I'm not sorry.", "apologise", None),
        ("No need to send a photo, I'll put a voucher on your account.", "request_evidence", "offer_voucher"),
        ("Had the courier been late, we'd have told you.", "admit_fault", None),
        ("I can’t refund this, but here’s a voucher.", "promise_refund", "offer_voucher"),
        ("Would a voucher help? I can put 12 on your account.", "promise_refund", "offer_voucher"),
    ],
)
def test_a_denial_cancels_only_the_act_it_governs(text: str, absent: str, present: str | None) -> None:
    found = detect_acts(text)
    assert absent not in found
    assert present is None or present in found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n\t ",
        "sorry sorry voucher refund photo apologise empathise",
        "sorry voucher photo explain",
        "voucher voucher voucher",
        "[end:5]",
        "greet apologise empathise close",
        "I am sorry that your the voucher to you",
        "Let me check that for you.",
    ],
)
def test_keywords_are_no_acts(text: str) -> None:
    assert detect_acts(text) == frozenset()


def test_one_slip_of_the_keyboard_is_read_through() -> None:
    assert "apologise" in detect_acts("We apologse for the delay.")
    assert "offer_voucher" in detect_acts("I can offer you a vouchr.")


@settings(max_examples=150)
@given(st.text(max_size=400))
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert detect_acts(text) <= set(SERVICE_ACTS)
    assert all(part == part.strip() != "" for part in sentences(text))


@pytest.mark.parametrize(
    "unit",
    ["sorry, ", "a", "if ", "i will just now ", "can you please send a clear photo ", "'", "a'", "1.", "the ", "𝒊’"],
)
def test_time_is_bounded_on_hostile_text(unit: str) -> None:
    text = (unit * 4096)[:4096]
    reader = service_reader()
    reader.read("warm up")
    with bounded():
        reader.read(text)


def test_memory_of_unknown_words_is_bounded() -> None:
    reader = build_reader(_source(), SERVICE_ACTS)
    before = len(reader.lexicon)
    for number in range(MEMO_LIMIT + 500):
        reader.encode(f"w{number}q")
    assert len(reader.lexicon) == before + MEMO_LIMIT


@given(st.from_regex(r"(?:[a-z]{1,6} |[0-9]{1,3}[.:,%]?|am |€ ?){1,12}", fullmatch=True))
def test_figures_read_alike_whatever_their_digits(text: str) -> None:
    reader = service_reader()
    assert reader.encode(text) == reader.encode(re.sub("[0-9]", "0", text))


def test_sentences_end_at_their_marks_and_at_line_breaks() -> None:
    text = "Sorry about that! Which item, and when?\nIt came at 19.10... Bye"
    assert sentences(text) == ("Sorry about that!", "Which item, and when?", "It came at 19.10...", "Bye")


def _source() -> dict[str, Any]:
    return copy.deepcopy(dict(packaged_toml(food_dispute.__name__, "acts.toml")))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.pop("typos"), "shared.toml lacks typos; "),
        (lambda data: data["broken"].append("h[i]"), "shared.toml broken 'h[i]': cannot read "),
        (lambda data: data.pop("own"), "own.toml [own] must hold exactly "),
        (lambda data: data["own"]["greet"]["patterns"].append("^ NOCLASS"), "own.toml [own.greet] '^ NOCLASS' uses "),
        (
            lambda data: data["own"]["greet"]["patterns"].append("@NO"),
            "own.toml [own.greet] uses the unknown macro @NO",
        ),
        (lambda data: data["own"]["greet"]["patterns"].append("hi ( there"), "own.toml [own.greet]: pattern 'hi ( "),
        (lambda data: data["own"]["greet"]["patterns"].append("h[i]"), "own.toml [own.greet] 'h[i]': cannot read "),
        (lambda data: data["own"]["greet"]["patterns"].append("call 112"), "own.toml lists 112; "),
        (lambda data: data["own"]["greet"].update(extra=[]), "own.toml [own.greet] has unknown keys: extra."),
        (lambda data: data["own"]["greet"].update(patterns=[]), "own.toml [own.greet] needs non-empty patterns."),
    ],
)
def test_errors_name_file_and_table(change: Callable[[dict[str, Any]], object], message: str) -> None:
    data = _source()
    data["own"] = data.pop("service")
    change(data)
    with pytest.raises(TdGymError, match=f"^{re.escape(message)}"):
        build_reader(data, SERVICE_ACTS, "own.toml", "own", shared="shared.toml")


@pytest.mark.parametrize("macros", [{"round": "hi @round?"}, {"round": "hi @back", "back": "@round there"}], ids=str)
def test_a_macro_that_holds_itself_is_named(macros: dict[str, str]) -> None:
    data = _source()
    data["macros"].update(macros)
    data["service"]["greet"]["patterns"].append("well @round")
    with pytest.raises(TdGymError, match=r"^acts\.toml \[service\.greet\]: the macro @round holds itself; "):
        build_reader(data, SERVICE_ACTS)


def test_an_error_points_to_the_notation_that_there_is() -> None:
    data = _source()
    data["service"]["greet"]["patterns"].append("h[i]")
    with pytest.raises(TdGymError, match="see the notation in ") as caught:
        build_reader(data, SERVICE_ACTS)
    root = Path(td_gym.__file__).parents[1]
    assert (root / str(caught.value).rstrip(".").rpartition(" ")[2]).is_file()
