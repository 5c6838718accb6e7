"""Logic, 0-12: six rubric items of 0, 1 or 2, in the shape of the scale of arXiv 2602.22697.

The items are our own: a published rubric for the scale is not available.
"""

from __future__ import annotations

import math

from evals.dialogue import Dialogue
from evals.judges.briefing import read_briefing
from evals.judges.communication import names_problem
from evals.judges.consistency import inconsistent, issued_turns
from evals.judges.grounding import grounding, mentions
from evals.judges.lexicon import load
from evals.judges.reading import clauses, says, voucher_statement
from evals.judges.rubric import Item, repetitions, service_texts, total


def logic(dialogue: Dialogue) -> float:
    """Return the sum of the six items."""
    return total(ITEMS, dialogue)


def clarifies_first(dialogue: Dialogue) -> int:
    """Problem first: 2 when it asked for details or evidence before any resolution; 1 when later, or only named it."""
    texts = service_texts(dialogue)
    asked = next((n for n, text in enumerate(texts) if says(text, "asks_detail") or says(text, "asks_evidence")), None)
    if asked is None:
        return 1 if names_problem(dialogue) == 2 else 0
    return 2 if asked <= _resolution(dialogue) else 1


def asks_evidence_where_it_helps(dialogue: Dialogue) -> int:
    """Evidence: 2 when asked before any voucher, or when a report or the kind of complaint makes it needless.

    1 when never asked and no voucher, or asked late; 0 for a voucher on an unchecked claim.
    """
    facts = read_briefing(dialogue.briefing)
    if not facts.visible or facts.reported("restaurant") or facts.reported("courier"):
        return 2
    asked = [n for n, text in enumerate(service_texts(dialogue)) if says(text, "asks_evidence")]
    voucher = _voucher_turn(dialogue)
    if asked and (voucher is None or asked[0] < voucher):
        return 2
    return 1 if asked or voucher is None else 0


def uses_facts(dialogue: Dialogue) -> int:
    """Facts: 2 when every named item, sum and time is right, 1 when half are or none is named, else 0.

    A fault claimed beyond the reports is 0.
    """
    if _unfounded_fault(dialogue):
        return 0
    share = grounding(dialogue)
    if math.isnan(share):
        return 1
    return 2 if share == 1.0 else 1 if share >= 0.5 else 0


def decides_by_rules(dialogue: Dialogue) -> int:
    """Rules: 0 for a promise of refund, replacement or later contact, else 2.

    A second voucher, or one above the dearest price, makes it 1.
    """
    if any(_promises(text) for text in service_texts(dialogue)):
        return 0
    tries = sum(turn.action == "voucher" for turn in dialogue.service_turns)
    largest = read_briefing(dialogue.briefing).largest_voucher
    spent = dialogue.costs.get("voucher_amount", 0.0)
    return 1 if tries > 1 or (largest is not None and spent > largest + 0.01) else 2


def words_match_actions(dialogue: Dialogue) -> int:
    """Words and action: 0 when they disagree about a voucher, 1 when the sum said is not the sum issued, else 2."""
    if inconsistent(dialogue):
        return 0
    wrong_sum = any(m.kind == "money" and not m.right for m in mentions(dialogue))
    return 1 if wrong_sum and issued_turns(dialogue) else 2


def comes_to_a_close(dialogue: Dialogue) -> int:
    """Ending: 2 for a resolved or transferred dialogue in which no sentence came again.

    1 when the customer hung up or a sentence came again; 0 at the turn limit, after a format error
    or when three sentences came again.
    """
    ended, again = dialogue.outcome.get("ended_by"), repetitions(dialogue)
    if ended in ("turn_limit", "format_error") or again >= 3:
        return 0
    return 2 if ended in ("resolved", "transferred") and again == 0 else 1


ITEMS: tuple[Item, ...] = (
    clarifies_first,
    asks_evidence_where_it_helps,
    uses_facts,
    decides_by_rules,
    words_match_actions,
    comes_to_a_close,
)


def _voucher_turn(dialogue: Dialogue) -> int | None:
    return next((n for n, turn in enumerate(dialogue.service_turns) if turn.action == "voucher"), None)


def _resolution(dialogue: Dialogue) -> float:
    """Index of the first service turn that gives a voucher, offers one or refuses a refund."""
    for n, turn in enumerate(dialogue.service_turns):
        if turn.action == "voucher" or voucher_statement(turn.shown) or says(turn.shown, "refuses_refund"):
            return n
    return math.inf


def _promises(text: str) -> bool:
    table = load("service")
    return any(
        table["promises"].search(clause)
        and not table["negated"].search(clause)
        and not table["hypothetical"].search(clause)
        for clause in clauses(text)
    )


def _unfounded_fault(dialogue: Dialogue) -> bool:
    """Whether it states as fact that the courier or the restaurant caused the problem, though no report says so."""
    table, facts = load("service"), read_briefing(dialogue.briefing)
    for text in service_texts(dialogue):
        for clause in clauses(text):
            if not table["asserts_fault"].search(clause) or table["uncertain"].search(clause) or clause.endswith("?"):
                continue
            low = clause.lower()
            courier = any(word in low for word in ("courier", "driver", "rider"))
            late = facts.late is not None and facts.late > 10
            if not (facts.reported("courier" if courier else "restaurant") or (courier and late)):
                return True
    return False
