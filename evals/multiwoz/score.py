"""The standard scores of a file of predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evals.multiwoz.domains import Active, from_placeholders, from_states
from evals.multiwoz.files import Benchmark, Prediction
from evals.multiwoz.language import bleu, richness
from evals.multiwoz.normalise import State, normal_response, normal_state
from evals.multiwoz.success import SystemTurn, verdict

Predictions = Mapping[str, Sequence[Prediction]]
"""Turns by dialogue."""


@dataclass(frozen=True, slots=True)
class Scores:
    """The standard scores; rates and BLEU lie in 0 to 100."""

    inform: float
    """Share of dialogues in which all that was offered fits, rounded to a decimal as the standard does."""
    success: float
    """Share of those in which also all questions were answered, of all dialogues, rounded likewise."""
    bleu: float
    combined: float
    """Half of Inform and Success, and BLEU."""
    cbe: float
    unique_unigrams: int
    unique_trigrams: int
    dialogues: Mapping[str, tuple[int, int]]
    """Inform and Success of each dialogue, 1 or 0."""


def score(predictions: Predictions, benchmark: Benchmark, domains: str = "shipped") -> Scores:
    """Score ``predictions`` with the domains of each turn from one of ``DOMAIN_SOURCES``.

    ``TdGymError`` when the benchmark lacks a dialogue or has fewer turns of it.
    """
    source, has_states = domain_source(predictions, domains), all_have(predictions, "state")
    verdicts: dict[str, tuple[int, int]] = {}
    responses: list[str] = []
    references: list[str] = []
    for name, turns in predictions.items():
        booked = benchmark.booked(name, len(turns))
        said = [normal_response(turn.response) for turn in turns]
        states = _own_states(turns) if has_states else benchmark.states(name, len(turns))
        seen = map(SystemTurn, said, states, _active(turns, states, source), booked)
        inform, success = verdict(benchmark.goal(name), list(seen), benchmark.database)
        verdicts[name] = int(inform), int(success)
        responses += said
        references += benchmark.references(name, len(turns))
    inform_rate, success_rate = (_rate([pair[place] for pair in verdicts.values()]) for place in (0, 1))
    quality, rich = bleu(responses, references), richness(responses)
    return Scores(
        inform=inform_rate,
        success=success_rate,
        bleu=quality,
        combined=0.5 * (inform_rate + success_rate) + quality,
        cbe=rich.cbe,
        unique_unigrams=rich.unique_unigrams,
        unique_trigrams=rich.unique_trigrams,
        dialogues=verdicts,
    )


def domain_source(predictions: Predictions, asked: str) -> str:
    """Return which of ``DOMAIN_SOURCES`` is used: ``shipped`` needs domains at every turn, else it is ``state``."""
    return "state" if asked == "shipped" and not all_have(predictions, "active") else asked


def all_have(predictions: Predictions, field: str) -> bool:
    """Return whether every turn has the ``field``, ``state`` or ``active``; the standard takes all of them or none."""
    return all(getattr(turn, field) is not None for turns in predictions.values() for turn in turns)


def _rate(verdicts: Sequence[int]) -> float:
    return round(100 * sum(verdicts) / len(verdicts), 1)


def _own_states(turns: Sequence[Prediction]) -> list[State]:
    return [normal_state(turn.state or {}) for turn in turns]


def _active(turns: Sequence[Prediction], states: Sequence[State], source: str) -> list[Active]:
    if source == "state":
        return from_states(states)
    if source == "slots":
        return from_placeholders([turn.response for turn in turns])
    return [turn.active or () for turn in turns]
