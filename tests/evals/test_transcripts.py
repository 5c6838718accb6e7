from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from evals import audit_report, transcripts
from evals.audit import Audit, Finding, summed_up
from evals.escaping import escape_markdown
from tests.evals.dialogues import dialogue

ENDING = {
    "empty line and indent": "a\n\n    code <script>",
    "blank line": "a\n \t \n\n# b\nc",
    "indented at once": "    a\n\tb",
    "empty first": "\n\na",
    "heading underlined": "a\n===\nb\n---\nc",
    "table": "a\n:-:\nb\n--|--\nc",
    "list": "a\n* b\n- c\n1. d\n2) e",
    "fence and quote": "```\na\n~~~\n> b",
    "rule": "a\n___\n***\n_ _ _",
    "html": "a\n<div>\n&lt;p&gt;",
    "definition": "a\n\n[b]: http://c\n[^d]: e\n[b] [^d]",
    "other breaks": "a\x0b\x0c\u2028\r\n\r\nb",
    "nothing": "",
}
HOSTILE = ("<b>", "[a](b)", "_a_ __b__ c_d e__f", "`a` \\`b` **c** ~~d~~ $e$", "a\\|b|c", "&amp; ![a](b) <http://c>")


def record(*said: str) -> dict[str, Any]:
    """A dialogue whose customer says each of ``said``."""
    turn = {"seat": "customer", "action": "", "arguments": {}}
    return {"seed": 1, "turns": [{**turn, "text": text, "shown": text} for text in said], "outcome": {}, "costs": {}}


def inline(page: str, block: str) -> list[tuple[Sequence[str], str]]:
    """What stands in ``page`` inside each ``block`` of type paragraph, heading or cell: its marks and its words."""
    markdown_it = pytest.importorskip("markdown_it")
    tokens = markdown_it.MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(page)
    assert {token.type.partition("_")[0] for token in tokens} <= {"paragraph", "heading", "inline", "blockquote"}
    found = []
    for before, token in pairwise(tokens):
        if token.type == "inline" and before.type == f"{block}_open":
            words = "".join("\n" if part.type == "hardbreak" else part.content for part in token.children or ())
            found.append(([part.type for part in token.children or ()], words.replace("\u200b", "")))
    return found


@pytest.mark.parametrize("said", [*ENDING.values(), *HOSTILE], ids=[*ENDING, *HOSTILE])
@pytest.mark.parametrize("quoted", [False, True])
def test_a_message_is_one_paragraph_under_its_speaker_and_reads_as_it_was_said(said: str, quoted: bool) -> None:
    if quoted:
        held = dialogue(("customer", said))
        rates = summed_up([Audit(held, (Finding("left_role", "x", (0,)),), frozenset())], examples=1)
        page = audit_report.as_markdown(held.env, "test", [(rates, {})]).partition("seed 0: x\n\n")[2]
    else:
        page = transcripts.as_markdown("a", [record(said)])
    marks, words = inline(page, "paragraph")[-1]
    assert set(marks) <= {"text", "strong_open", "strong_close", "hardbreak", "text_special"}
    assert marks.count("strong_open") == 1
    lines = [line.strip() for line in said.splitlines()] or [""]
    assert [line.strip() for line in words.split("\n")] == [f"customer: {lines[0]}".strip(), *lines[1:]]


@pytest.mark.parametrize(
    ("words", "escaped"),
    [
        ("gopo_no_expert _a_ b__c", r"gopo_no_expert \_a\_ b\_\_c"),
        ("https://a.b/c_d www.e.f", r"https:\//a.b/c_d www\.e.f"),
        (":-:", "&#8203;:-:"),
        ("1. a", "&#8203;1. a"),
        ("2.5 stars", "2.5 stars"),
    ],
)
def test_what_is_escaped(words: str, escaped: str) -> None:
    assert escape_markdown(words) == escaped


@pytest.mark.parametrize(
    ("agents", "names"),
    [
        (["runs_a", "b", "B.x"], ["runs_a", "b", "B.x"]),
        (["runs a", "runs_a", "runs/a"], ["runs_a", "runs_a-2", "runs_a-3"]),
        (["a-2", "a", "a"], ["a-2", "a", "a-3"]),
        (["x" * 90, "x" * 91], ["x" * 80, "x" * 80 + "-2"]),
        (["\U00020000" * 90] * 2, ["\U00020000" * 50, "\U00020000" * 50 + "-2"]),
        (["..", "/"], ["unnamed", "unnamed-2"]),
    ],
)
def test_every_agent_has_files_of_its_own(agents: list[str], names: list[str], tmp_path: Path) -> None:
    for agent, name in zip(agents, names, strict=True):
        written = transcripts.write(tmp_path, agent, [record(f"I am {agent!r}.")], 1)
        assert [path.name for path in written] == [f"{name}.md", f"{name}.html"]
    assert len(list(tmp_path.iterdir())) == 2 * len(agents)


@pytest.mark.parametrize("taken", ["a.md", "a.html"])
def test_a_page_that_is_there_is_kept(taken: str, tmp_path: Path) -> None:
    (tmp_path / taken).write_text("mine")
    assert [path.name for path in transcripts.write(tmp_path, "a", [record("x")], 1)] == ["a-2.md", "a-2.html"]
    assert (tmp_path / taken).read_text() == "mine"
