"""Faults of JSON are one line that names the file and the field."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from td_gym import json_data
from td_gym.errors import TdGymError


@pytest.mark.parametrize(
    ("check", "data", "words"),
    [
        (json_data.as_object, [], "FILE must be a JSON object, not a list."),
        (json_data.as_list, {}, "FILE must be a JSON list, not an object."),
        (json_data.as_text, None, "FILE must be text, not null."),
        (json_data.as_list, "long " * 50, f"FILE must be a JSON list, not '{'long ' * 11}l...."),
        (json_data.as_texts, ["a", 1], "FILE[1] must be text, not 1."),
        (json_data.as_named_texts, {"a": 2.5}, "FILE.a must be text, not 2.5."),
        (json_data.as_number, "1", "FILE must be a finite number, not '1'."),
        (json_data.as_number, True, "FILE must be a finite number, not True."),
        (json_data.as_number, float("nan"), "FILE must be a finite number, not nan."),
        (json_data.as_number, 10**400, f"FILE must be a finite number, not 1{'0' * 56}...."),
    ],
)
def test_what_is_of_another_kind_is_named(check: Callable[[Any, str], Any], data: Any, words: str) -> None:
    with pytest.raises(TdGymError) as raised:
        check(data, "FILE")
    assert str(raised.value) == words


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({}, "FILE has no field 'name'."),
        ([], "FILE must be a JSON object, not a list."),
        ({"name": 7}, "FILE.name must be text, not 7."),
    ],
)
def test_a_field_that_is_not_there_is_named(data: Any, words: str) -> None:
    with pytest.raises(TdGymError) as raised:
        json_data.text_of(data, "name", "FILE")
    assert str(raised.value) == words


def test_what_is_right_is_returned(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"names": ["ä", "b"], "texts": {"a": "b"}}', encoding="utf-8")
    data = json_data.as_object(json_data.read_json(path), "a.json")
    assert json_data.as_texts(json_data.field_of(data, "names", "a.json"), "names") == ("ä", "b")
    assert json_data.as_named_texts(data["texts"], "texts") == {"a": "b"}
    assert [json_data.as_number(number, "number") for number in (-1, 0.5)] == [-1.0, 0.5]


@pytest.mark.parametrize(
    "content",
    [None, b'{"a": ', b'"\xff"', b"[" * 100_000, b"9" * 5_000],
    ids=["no file", "cut off", "no UTF-8", "nested deeply", "a number too long"],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    words = "Cannot read" if content is None else "a.json' is not a whole JSON file"
    with pytest.raises(TdGymError, match=words) as raised:
        json_data.read_json(path)
    assert repr(str(path)) in str(raised.value)
