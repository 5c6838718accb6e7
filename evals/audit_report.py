"""What an audit of customers found: as a table for the terminal, as Markdown and as JSON.

What customers and agents wrote is hostile text; it is escaped wherever it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evals.audit import FAULTS, Rates
from evals.dialogue import Dialogue
from evals.escaping import escape_markdown, paragraph, printable
from evals.metrics import cases_of, columns_of, compute, summarise
from evals.scores import entry
from evals.statistics import Interval
from evals.tables import NOTE_BOOTSTRAP, cell, heading, markdown, note_trained_on, text
from evals.transcripts import said, who
from td_gym.envs.planning import EXPERT

NOTE = (
    "Rate: share of dialogues with the fault, with its 95 % Wilson interval; n/a where rules cannot tell. Rules see "
    "what they were written for, so a rate is no upper bound."
)


def notes(env: str) -> str:
    """Return what the figures of an audit in environment ``env`` are."""
    return f"{NOTE}\nScores: {NOTE_BOOTSTRAP.removeprefix('Intervals: ')} {note_trained_on([env])}"


def scores(dialogues: Sequence[Dialogue]) -> dict[str, dict[str, Any]]:
    """Return mean, 95 % bootstrap interval and number of dialogues of each metric that tables of ``dialogues`` show."""
    measured = summarise(compute(dialogues), cases_of(dialogues))
    shown = [spec.name for spec in columns_of(dialogues[0].env)]
    return {name: entry(measured[name]) for name in shown if name in measured}


def as_json(rates: Rates, scored: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return what was found with one customer and agent as plain data, beside the agent's ``scored`` metrics."""
    return {
        "customer": rates.customer,
        "agent": rates.agent,
        "dialogues": rates.dialogues,
        "metrics": dict(scored),
        "faults": {fault: _share(rates, fault) for fault in FAULTS},
    }


def _share(rates: Rates, fault: str) -> dict[str, Any] | None:
    share = rates.shares[fault]
    if share is None:
        return None
    examples = [
        {"seed": dialogue.seed, "what": finding.what, "turns": [_turn(dialogue, place) for place in finding.turns]}
        for dialogue, finding in rates.examples[fault]
    ]
    return {**entry(share), "kinds": dict(rates.kinds[fault]), "examples": examples}


def _turn(dialogue: Dialogue, place: int) -> dict[str, Any]:
    turn = dialogue.turns[place]
    return {"turn": place, "seat": turn.seat, "text": turn.text}


def as_text(rates: Rates, env: str, scored: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the scores and the rates of one customer and agent for the terminal."""
    return f"{printable(_title(rates))}\n{_scores(env, scored)}\n\n{text(_table(rates))}"


def as_markdown(env: str, split: str, found: Sequence[tuple[Rates, Mapping[str, Mapping[str, Any]]]]) -> str:
    """Return the page of an audit: what the faults are, then scores, rates and examples by customer and agent."""
    parts = [f"# Customers of {escape_markdown(env)}, split {escape_markdown(split)}", notes(env)]
    parts.append("\n".join(f"- `{fault}`: {definition}" for fault, definition in FAULTS.items()))
    for rates, scored in found:
        parts += [
            f"## {escape_markdown(_title(rates))}",
            escape_markdown(_scores(env, scored)),
            markdown(_table(rates)),
        ]
        for fault in FAULTS:
            for dialogue, finding in rates.examples[fault]:
                parts.append(f"**{fault}**, seed {dialogue.seed}: {escape_markdown(finding.what)}")
                parts.append("\n>\n".join(_quoted(dialogue, place) for place in _shown(dialogue, finding.turns)))
    return "\n\n".join(parts) + "\n"


def _shown(dialogue: Dialogue, turns: Sequence[int]) -> list[int]:
    """Return ``turns`` with, before the first, the message that it answers; a plan may stand between the two."""
    heard = [place for place in range(turns[0]) if dialogue.turns[place].seat != EXPERT]
    return [*heard[-1:], *turns]


def _quoted(dialogue: Dialogue, place: int) -> str:
    turn = dialogue.to_json()["turns"][place]
    words = str(turn["text"]) if turn["seat"] == "customer" else said(turn)
    return paragraph(who(turn), words, quote="> ")


def _title(rates: Rates) -> str:
    return f"customer {rates.customer}, agent {rates.agent}, {rates.dialogues} dialogues"


def _scores(env: str, scored: Mapping[str, Mapping[str, Any]]) -> str:
    return "scores: " + "; ".join(f"{heading(name, env)} {cell(metric)}" for name, metric in scored.items())


def _table(rates: Rates) -> list[list[str]]:
    table = [["fault", "dialogues", "of", "rate", "what"]]
    for fault in FAULTS:
        share = rates.shares[fault]
        if share is None:
            table.append([fault, "-", "-", "n/a", ""])
            continue
        kinds = "; ".join(f"{what}: {count}" for what, count in rates.kinds[fault].items())
        table.append([fault, str(round(share.mean * share.n)), str(share.n), _rate(share), kinds])
    return table


def _rate(share: Interval) -> str:
    return f"{share.mean:.3f} [{share.low:.3f}, {share.high:.3f}]"
