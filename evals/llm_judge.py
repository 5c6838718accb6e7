"""A language model as the judge of whole dialogues, by four principles.

InteractCS-RL (arXiv 2602.22697) marks a dialogue 0, 50 or 100 by four principles, weighted 1, 1, 1 and 2.  The marks
and weights are those of the paper's released code; the words in which a model is asked are ours.  What customer and
agent wrote reaches the model inside a JSON document, as data; the agent's private notes and the outcome are not in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from evals.dialogue import Dialogue
from evals.verdicts import MARKS, WEIGHTS, is_verdict
from personas.packaged import packaged_toml
from td_gym.draws import mix
from td_gym.llm.client import Client, ServerError, as_unicode
from td_gym.llm.messages import Completion, Request
from td_gym.llm.quoting import quoted

ROLE = "judge"
_ASKED = 3
"""How often a model is asked for one verdict before it counts as no judge."""

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "reason": {"type": "string"},
        **{name: {"type": "integer", "enum": list(MARKS)} for name in WEIGHTS},
    },
    "required": ["reason", *WEIGHTS],
    "additionalProperties": False,
}


def judged(dialogues: Sequence[Dialogue], client: Client, finished: Callable[[], None]) -> list[Dialogue]:
    """Return ``dialogues`` with the ``verdict`` of a model each; ``finished`` is called after each.

    Equal conversations are judged once.  Raises ``ServerError`` for an outage, and where the model gives no verdict.
    """
    asked: dict[str, Future[Completion]] = {}
    documents = [document(dialogue) for dialogue in dialogues]
    for each in documents:
        if each not in asked:
            asked[each] = client.submit(_request(each, 0))
    verdicts: dict[str, dict[str, Any]] = {}
    found = []
    for dialogue, each in zip(dialogues, documents, strict=True):
        if each not in verdicts:
            verdicts[each] = _verdict(client, each, asked[each].result())
        found.append(replace(dialogue, verdict=verdicts[each]))
        finished()
    return found


def document(dialogue: Dialogue) -> str:
    """Return what a model reads of a dialogue, as JSON: the desk's briefing, and what was said and done."""
    turns = []
    for turn in dialogue.turns:
        if turn.seat == "expert":
            continue
        said: dict[str, Any] = {"seat": turn.seat, "said": quoted(turn.shown)}
        if turn.action:
            said["did"] = {"tool": turn.action, **{name: quoted(value) for name, value in turn.arguments.items()}}
        if turn.tool_message:
            said["tool_answered"] = quoted(turn.tool_message)
        turns.append(said)
    return json.dumps({"briefing": quoted(dialogue.briefing), "conversation": turns}, ensure_ascii=False, indent=1)


def _request(asked: str, attempt: int) -> Request:
    prompt = packaged_toml(__package__, "llm_judge.toml")["system"]
    messages = [{"role": "system", "content": prompt}, {"role": "user", "content": asked}]
    return Request(ROLE, messages, mix(attempt, ROLE) % 2**31, temperature=0.0, schema=SCHEMA)


def _verdict(client: Client, asked: str, reply: Completion) -> dict[str, Any]:
    """Return the verdict that ``reply``, the first, holds; where it holds none, the model is asked again."""
    verdict = read_verdict(reply.text)
    for attempt in range(1, _ASKED):
        if verdict is None:
            verdict = read_verdict(client.submit(_request(asked, attempt)).result().text)
    if verdict is not None:
        return verdict
    raise ServerError(
        f"{client.endpoint} gave no verdict in {_ASKED} attempts, a JSON object with {', '.join(WEIGHTS)} of "
        f"{', '.join(map(str, MARKS))} each; take another model as the judge."
    )


def read_verdict(reply: str) -> dict[str, Any] | None:
    """Return the last verdict in a model's reply, whatever stands round it, ``None`` where there is none."""
    decoder, end = json.JSONDecoder(), len(reply)
    while (start := reply.rfind("{", 0, end)) >= 0:
        try:
            found, _ = decoder.raw_decode(reply, start)
        except (ValueError, RecursionError):
            found = None
        if is_verdict(found):
            return {
                **{name: int(found[name]) for name in WEIGHTS},
                "reason": as_unicode(str(found.get("reason", ""))[:1000]),
            }
        end = start
    return None
