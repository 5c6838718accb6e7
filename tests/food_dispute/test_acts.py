"""Acts from free text: agreement with labelled utterances, denials, keyword lists, hostile input, load errors."""

from __future__ import annotations

import copy
import json
import time
import tomllib
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from td_gym.errors import TdGymError
from td_gym.scenarios.food_dispute import acts
from td_gym.scenarios.food_dispute.acts import (
    CUSTOMER_ACTS,
    SERVICE_ACTS,
    build_reader,
    detect_acts,
    detect_customer_acts,
    segments,
)

DATA = Path(__file__).parent / "data"
Row = dict[str, Any]


def _rows(name: str) -> list[Row]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines() if line.strip()]


def _f1(rows: list[Row], names: tuple[str, ...], detect: Callable[[str], frozenset[str]]) -> dict[str, float]:
    """Return F1 per act that occurs in ``rows``: 2 tp / (labelled + detected)."""
    counts = {name: [0, 0] for name in names}
    for row in rows:
        wanted, found = set(row["acts"]), detect(row["text"])
        for name in names:
            counts[name][0] += 2 * (name in wanted and name in found)
            counts[name][1] += (name in wanted) + (name in found)
    return {name: hit / total for name, (hit, total) in counts.items() if total}


def test_service_acts_agree_with_utterances_labelled_without_sight_of_the_lexicon() -> None:
    # Odd lines served development; only the even ones are evidence.
    judged = _rows("service_utterances.jsonl")[1::2]
    assert len(judged) >= 150
    scores = _f1(judged, SERVICE_ACTS, detect_acts)
    assert set(scores) == set(SERVICE_ACTS)
    assert sum(scores.values()) / len(scores) >= 0.85, scores


@pytest.mark.parametrize(
    ("side", "names", "detect"),
    [("service", SERVICE_ACTS, detect_acts), ("customer", CUSTOMER_ACTS, detect_customer_acts)],
)
def test_own_examples(side: str, names: tuple[str, ...], detect: Callable[[str], frozenset[str]]) -> None:
    rows = [row for row in _rows("acts_own.jsonl") if row["side"] == side]
    assert len(rows) >= 60
    scores = _f1(rows, names, detect)
    assert set(scores) == set(names)
    assert sum(scores.values()) / len(scores) >= 0.9, scores


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


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=400))
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert detect_acts(text) <= set(SERVICE_ACTS)
    assert detect_customer_acts(text) <= set(CUSTOMER_ACTS)
    assert all(part == part.strip() != "" for part in segments(text))


@pytest.mark.parametrize(
    "unit",
    ["sorry, ", "a", "if ", "i will just now ", "can you please send a clear photo ", "'", "a'", "1.", "the ", "𝒊’"],
)
def test_time_is_bounded_on_hostile_text(unit: str) -> None:
    text = (unit * 4096)[:4096]
    reader = acts._reader("service")
    reader.read("warm up")
    start = time.process_time()
    reader.read(text)
    assert time.process_time() - start < 0.05


def test_memory_of_unknown_words_is_bounded() -> None:
    reader = build_reader(_source(), "service", SERVICE_ACTS)
    before = len(reader.lexicon)
    for number in range(acts._MEMO_LIMIT + 500):
        reader.encode(f"w{number}q")
    assert len(reader.lexicon) == before + acts._MEMO_LIMIT


def test_segments_are_clauses() -> None:
    assert segments("Sorry about that! Which item, and when?") == ["Sorry about that", "Which item", "and when"]


def _source() -> dict[str, Any]:
    folder = resources.files("td_gym.scenarios.food_dispute")
    return tomllib.loads(folder.joinpath("acts.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.pop("typos"), "lacks typos"),
        (lambda data: data["service"].pop("greet"), "must hold exactly"),
        (lambda data: data["service"]["greet"]["patterns"].append("^ NOCLASS"), "unknown class NOCLASS"),
        (lambda data: data["service"]["greet"]["patterns"].append("@NOMACRO"), "unknown macro"),
        (lambda data: data["service"]["greet"]["patterns"].append("hi ( there"), "malformed"),
        (lambda data: data["service"]["greet"]["patterns"].append("h[i]"), "cannot read"),
        (lambda data: data["service"]["greet"].update(extra=[]), "unknown keys: extra"),
        (lambda data: data["service"]["greet"].update(patterns=[]), "non-empty patterns"),
    ],
)
def test_a_broken_file_is_named(change: Callable[[dict[str, Any]], object], message: str) -> None:
    data = copy.deepcopy(_source())
    change(data)
    with pytest.raises(TdGymError, match=message):
        build_reader(data, "service", SERVICE_ACTS)
