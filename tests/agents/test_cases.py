"""Situations of conversations, how like two of them are by hand, and cases in a file."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.cases import Case, Memory, append_cases, read_cases, situation_of
from td_gym.errors import TdGymError

BRIEFING = {"role": "system", "content": "CASE\nsoup; waits 3"}
COLD_SOUP, COLD_PIZZA, LATE = (
    Case(f"user: {text}", text, 1.0) for text in ("cold soup", "cold pizza pizza", "late courier")
)
LENGTH_OF_SOUP = math.hypot(math.log(2), math.log(3))
LENGTH_OF_PIZZA = math.hypot(math.log(2), (1 + math.log(2)) * math.log(3))


def test_a_situation_is_the_last_two_messages_with_numbers_and_names_masked() -> None:
    messages = [
        BRIEFING,
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Hello  Kylie Martinez,\nyou owe $1,228.80 by 14:15, yes?"},
        {"role": "user", "content": "Kylie Martinezson? Yes, kylie martinez owes 5."},
    ]
    values = {"name": "Kylie Martinez", "amount": "$1,228.80", "eligible": "yes"}
    assert situation_of(messages, values) == (
        "assistant: hello [name], you owe $0 by 0, yes?\nuser: kylie martinezson? yes, [name] owes 0."
    )
    assert situation_of(messages[:2], values) == "user: hello."


def test_the_longer_of_two_names_is_masked() -> None:
    said = [BRIEFING, {"role": "user", "content": "The Soup House"}]
    assert situation_of(said, {"item": "Soup", "restaurant": "The Soup House"}) == "user: [restaurant]"


def test_likeness_by_hand() -> None:
    memory = Memory([COLD_SOUP, COLD_PIZZA])
    (first, same), (second, other) = memory.similar("user: cold soup late", 2)
    assert (first, second) == (COLD_SOUP, COLD_PIZZA)
    assert same == pytest.approx(1.0)  # no case has "late"
    assert other == pytest.approx(math.log(2) ** 2 / (LENGTH_OF_SOUP * LENGTH_OF_PIZZA))


def test_a_rare_word_says_more_than_a_common_one() -> None:
    found = Memory([COLD_SOUP, COLD_PIZZA, LATE]).similar("user: cold courier", 3)
    assert [case for case, _ in found] == [LATE, COLD_SOUP, COLD_PIZZA]


def test_words_of_the_other_role_are_other_words() -> None:
    assert Memory([COLD_SOUP, LATE]).similar("assistant: cold soup\nuser: late", 2)[0].case == LATE


def test_of_equal_cases_the_earlier_comes_first_and_unlike_ones_never() -> None:
    cases = [LATE, *(Case("user: cold soup", f"draft {i}", 1.0) for i in range(4))]
    found = Memory(cases).similar("user: soup", 3)
    assert [case.draft for case, _ in found] == ["draft 0", "draft 1", "draft 2"]
    assert len(Memory(cases).similar("user: soup", 9)) == 4
    assert Memory(cases).similar("user: pizza", 9) == []


WORDS = st.lists(st.sampled_from(["cold", "soup", "late", "photo", "refund"]), min_size=1, max_size=8)


@given(st.lists(WORDS, min_size=1, max_size=8), WORDS)
def test_likeness_is_a_cosine(situations: list[list[str]], asked: list[str]) -> None:
    memory = Memory([Case(f"user: {' '.join(words)}", "", 1.0) for words in (*situations, asked)])
    found = memory.similar(f"user: {' '.join(reversed(asked))}", 9)
    assert found[0].likeness == pytest.approx(1.0)
    assert all(0 < likeness < 1 + 1e-9 for _, likeness in found)
    assert [likeness for _, likeness in found] == sorted((likeness for _, likeness in found), reverse=True)


def test_cases_come_back_from_their_file(tmp_path: Path) -> None:
    cases = [Case("user: crème\nassistant: [item]", "a\u2028b \x85 <response>", 3.5), COLD_SOUP]
    append_cases(tmp_path / "memory.jsonl", cases[:1])
    append_cases(tmp_path / "memory.jsonl", cases[1:])
    assert read_cases(tmp_path / "memory.jsonl") == cases


RECORD = {"situation": "user: cold", "draft": "sorry", "session_reward": 1.0}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"situation": "us', "is not JSON"),
        ("", "is not JSON"),
        ("[]", "must be a JSON object, not a list"),
        (json.dumps({**RECORD, "draft": 3}), "draft must be text, not 3"),
        (json.dumps({"situation": "", "session_reward": 1}), "has no field 'draft'"),
        (json.dumps({**RECORD, "session_reward": 0}), "session_reward must be a number above 0, not 0"),
        (json.dumps({**RECORD, "session_reward": math.nan}), "session_reward must be a number above 0, not nan"),
        (json.dumps({**RECORD, "session_reward": "1"}), "session_reward must be a number above 0, not '1'"),
    ],
)
def test_a_broken_line_is_named(line: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "memory.jsonl"
    path.write_text(f"{json.dumps(RECORD)}\n{line}\n{json.dumps(RECORD)}\n")
    with pytest.raises(TdGymError, match=rf"memory\.jsonl', line 2.*{words}"):
        read_cases(path)


def test_no_case_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "memory.jsonl").write_text("")
    with pytest.raises(TdGymError, match="holds no case; train it for more --steps"):
        read_cases(tmp_path / "memory.jsonl")
    (tmp_path / "memory.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(TdGymError, match=r"Cannot read .*memory\.jsonl.*; train the memory again"):
        read_cases(tmp_path / "memory.jsonl")
