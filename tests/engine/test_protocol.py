"""The wire format: hand-worked cases, and any text at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from td_gym.protocol import ParsedMessage, Tool, format_call, parse_message

TOOLS = {"voucher": Tool("voucher", frozenset({"amount", "note"}), ""), "transfer": Tool("transfer", frozenset(), "")}

GOOD = [
    ("hello", ParsedMessage("hello")),
    ("  hello \n", ParsedMessage("hello")),
    ("", ParsedMessage("")),
    ("a < b and c > d", ParsedMessage("a < b and c > d")),
    ("<b>bold</b> <Think>", ParsedMessage("<b>bold</b> <Think>")),
    ("<response>hi</response>", ParsedMessage("hi")),
    ("<think>hm</think>hi", ParsedMessage("hi", think="hm")),
    ("hi<think>hm</think>there", ParsedMessage("hi there", think="hm")),
    ("<think>hm</think> aside <response>hi</response>", ParsedMessage("hi", think="hm")),
    ("<response>x < y</response>", ParsedMessage("x < y")),
    ("<action>voucher</action><response>here</response>", ParsedMessage("here", action="voucher")),
    ("<response>here</response><action>voucher</action>", ParsedMessage("here", action="voucher")),
    (
        "<response>here</response><think>t</think><action> voucher amount=4.5 </action>",
        ParsedMessage("here", "t", "voucher", {"amount": "4.5"}),
    ),
    (
        '<action>voucher amount=4 note="for the soup"</action>ok',
        ParsedMessage("ok", action="voucher", arguments={"amount": "4", "note": "for the soup"}),
    ),
    ("<action>chat</action>hi", ParsedMessage("hi")),
    ("<action></action>hi", ParsedMessage("hi")),
    ("<response></response>", ParsedMessage("")),
]

BAD = {
    "<think>never closed": "never closed",
    "</think>": "closes nothing",
    "<think>a</response>": "closes nothing",
    "<think><action>chat</action></think>": "inside",
    "<response>a</response><response>b</response>": "repeated",
    "<think>a</think><think>b</think>": "repeated",
    "<response><response>a</response>": "inside",
    "<action>refund</action>": "unknown action",
    "<action>VOUCHER</action>": "unknown action",
    "<action>voucher 5</action>": "key=value",
    "<action>voucher amount=</action>": "key=value",
    "<action>voucher amount=1 amount=2</action>": "'amount' twice",
    '<action>voucher note="open</action>': "key=value",
    "<action>voucher size=2</action>": "no argument",
    "<action>transfer amount=2</action>": "no argument",
    "<action>chat amount=2</action>": "chat takes no arguments",
    "x" * 4097: "longer than 4096",
}


@pytest.mark.parametrize(("text", "expected"), GOOD)
def test_well_formed_messages(text: str, expected: ParsedMessage) -> None:
    assert parse_message(text, TOOLS) == expected


@pytest.mark.parametrize("text", BAD, ids=lambda text: text[:40])
def test_format_errors_say_why_and_carry_nothing_else(text: str) -> None:
    parsed = parse_message(text, TOOLS)
    assert BAD[text] in parsed.error
    assert parsed.action == ""


def test_the_limit_itself_is_allowed() -> None:
    assert parse_message("x" * 4096, TOOLS).error == ""


PIECES = st.sampled_from(
    ["<think>", "</think>", "<response>", "</response>", "<action>", "</action>", "voucher", " amount=3", "<", ">", '"']
)
ANY_TEXT = st.text(st.characters(), max_size=200)


@given(st.lists(st.one_of(PIECES, ANY_TEXT), max_size=12).map("".join))
def test_never_raises_and_errors_exclude_calls(text: str) -> None:
    parsed = parse_message(text, TOOLS)
    assert not (parsed.error and parsed.action)
    assert parsed.action in ("", *TOOLS)


@given(ANY_TEXT.filter(lambda text: "<" not in text))
def test_text_without_tags_is_a_response(text: str) -> None:
    assert parse_message(text, TOOLS) == ParsedMessage(text.strip())


@given(st.permutations(["<think>t</think>", "<response>r</response>", "<action>voucher amount=2</action>"]))
def test_parts_come_in_any_order(parts: list[str]) -> None:
    assert parse_message("\n".join(parts), TOOLS) == ParsedMessage("r", "t", "voucher", {"amount": "2"})


@given(st.dictionaries(st.sampled_from(["amount", "note"]), ANY_TEXT.filter(lambda text: not set("<>") & set(text))))
def test_a_written_call_is_read_as_it_was_meant(arguments: dict[str, str]) -> None:
    tools = {"voucher": Tool("voucher", frozenset({"amount", "note"}), "credit a voucher")}
    read = parse_message(f"<action>{format_call('voucher', arguments)}</action>", tools)
    assert (read.error, read.action) == ("", "voucher")
    assert read.arguments == {name: value.replace('"', "'") for name, value in arguments.items()}
