"""Readable transcripts: dialogues as Markdown and as one HTML page.

What customers and agents wrote is hostile text: everything is escaped, so that no message can end
its block, add markup, run a script or move a terminal's cursor.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evals.escaping import escape_markdown, paragraph, printable
from evals.files import file_name, write_text
from td_gym.protocol import format_call

_STYLE = """\
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a }
.turn { margin: .6rem 0; padding: .5rem .8rem; border-radius: .5rem; white-space: pre-wrap; overflow-wrap: anywhere }
.customer { background: #f1f1f1; margin-right: 4rem } .service { background: #e3effa; margin-left: 4rem }
.who { font-weight: 600 } .facts { color: #555; font-size: .9rem } .plan { margin: .6rem 0 -.3rem 4.8rem }"""


def write(folder: Path, agent: str, dialogues: Sequence[Mapping[str, Any]], count: int) -> list[Path]:
    """Write the first ``count`` dialogues of ``agent`` as ``NAME.md`` and ``NAME.html`` into ``folder``.

    ``dialogues`` are records as in ``dialogues.jsonl``.  No file is replaced.  Returns the paths written.
    """
    name = file_name(agent, lambda name: any((folder / f"{name}.{kind}").exists() for kind in ("md", "html")))
    chosen = dialogues[:count]
    pages = {f"{name}.md": as_markdown(agent, chosen), f"{name}.html": as_html(agent, chosen)}
    for file, page in pages.items():
        write_text(folder / file, page)
    return [folder / file for file in pages]


def as_markdown(agent: str, dialogues: Sequence[Mapping[str, Any]]) -> str:
    """Return ``dialogues`` as a Markdown document."""
    parts = [f"# Dialogues of {escape_markdown(agent)}"]
    for dialogue in dialogues:
        parts.append(f"## Dialogue with seed {int(dialogue['seed'])}")
        parts.append(escape_markdown(facts(dialogue)))
        for turn in dialogue["turns"]:
            if turn["seat"] == "expert":
                parts.append(f"*{escape_markdown(plan(turn))}*")
                continue
            parts.append("  \n".join(paragraph(speaker, text) for speaker, text in spoken(turn)))
    return "\n\n".join(parts) + "\n"


def as_html(agent: str, dialogues: Sequence[Mapping[str, Any]]) -> str:
    """Return ``dialogues`` as a self-contained HTML page without scripts."""
    title = html.escape(f"Dialogues of {printable(agent)}")
    body = [f"<h1>{title}</h1>"]
    for dialogue in dialogues:
        body.append(f"<h2>Dialogue with seed {int(dialogue['seed'])}</h2>")
        body.append(f'<p class="facts">{html.escape(facts(dialogue))}</p>')
        for turn in dialogue["turns"]:
            if turn["seat"] == "expert":
                body.append(f'<p class="facts plan">{html.escape(plan(turn))}</p>')
                continue
            seat = "customer" if turn["seat"] == "customer" else "service"
            blocks = []
            for speaker, text in spoken(turn):
                shown = html.escape("\n".join(printable(line) for line in text.splitlines()))
                blocks.append(f'<span class="who">{html.escape(speaker)}</span>\n{shown}')
            body.append(f'<div class="turn {seat}">' + "\n".join(blocks) + "</div>")
    policy = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    head = f'<meta charset="utf-8">{policy}<title>{title}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n' + "\n".join(body) + "\n</body></html>\n"


def plan(turn: Mapping[str, Any]) -> str:
    """Return what an expert planned for the service turn after it."""
    return printable(f"planned: {turn['text']}")


def spoken(turn: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what stands under a turn as (speaker, text): what was said, and what a tool answered."""
    answer = str(turn.get("tool_message", ""))
    return [(who(turn), said(turn)), *([("tool", answer)] if answer else [])]


def who(turn: Mapping[str, Any]) -> str:
    """Return the seat, and the tool it called."""
    called = format_call(turn.get("action", ""), turn.get("arguments", {}))
    return printable(f"{turn['seat']} [{called}]" if called else str(turn["seat"]))


def said(turn: Mapping[str, Any]) -> str:
    """Return what a turn said, or the raw message where nothing was shown and it is no look-up: it broke the format."""
    shown = str(turn["shown"])
    return shown if shown or turn.get("action") else str(turn["text"])[:1000]


def facts(dialogue: Mapping[str, Any]) -> str:
    """Return the outcome, the costs that are not zero and a judge's verdict in one line."""
    outcome = [f"{key}: {_number(value)}" for key, value in dialogue["outcome"].items()]
    costs = [f"{key}: {_number(value)}" for key, value in dialogue.get("costs", {}).items() if value]
    verdict = [f"{key}: {value}" for key, value in dialogue.get("verdict", {}).items()]
    parts = ["; ".join(outcome), f"Costs: {'; '.join(costs)}" if costs else "No costs"]
    return printable(". ".join([*parts, f"Verdict: {'; '.join(verdict)}"] if verdict else parts))


def _number(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
