"""Constrained turns are one of the choices, drawn from the softmax over what the choices allow, and scored alike."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from agents.constraints import FREE, AllowedSets, Choices
from agents.losses import forward_log_probs
from agents.sampler import Line, sample, turn_uniforms
from td_gym.draws import mix
from tests.agents.test_sampler import END, PAD, VOCABULARY, opening, random_model

BODIES = st.lists(st.lists(st.integers(2, VOCABULARY - 1), min_size=1, max_size=4), min_size=1, max_size=6)


def sampled(lines: list[Line], kind: str = "llama", temperature: float = 1.0) -> None:
    """Let lines that have begun a turn finish it."""
    sample(random_model(kind), lines, lambda ended: [], end_id=END, pad_id=PAD, temperature=temperature)


def line(number: int, choices: Choices | None, length: int = 10) -> Line:
    begun = Line()
    begun.read(opening(number))
    begun.begin(turn_uniforms(mix(4, number), length), choices)
    return begun


@given(BODIES, st.integers(0, 99), st.sampled_from([0.0, 0.7, 1.0]))
def test_a_turn_is_one_of_the_choices(bodies: list[list[int]], number: int, temperature: float) -> None:
    sequences = [[*body, END] for body in bodies]
    lines = [line(number, Choices(sequences, AllowedSets(VOCABULARY))), line(number + 1, None)]
    sampled(lines, temperature=temperature)
    assert lines[0].reply in sequences
    assert set(lines[1].allowed) == {FREE}


def test_the_whole_choice_is_drawn_by_its_probability() -> None:
    """Over many draws each choice comes as often as the product of its tokens' masked softmax says."""
    sequences = [[5, 6, END], [5, 7, END], [8, END]]
    choices = Choices(sequences, AllowedSets(VOCABULARY))
    lines = []
    for number in range(3000):
        begun = Line()
        begun.read(opening(0))
        begun.begin(turn_uniforms(mix(11, number), 4), choices)
        lines.append(begun)
    sampled(lines)
    chosen = [sequences.index(each.reply) for each in lines]
    for place in range(3):
        probability = np.exp(sum(lines[chosen.index(place)].log_probs)) if place in chosen else 0.0
        error = np.sqrt(probability * (1 - probability) / len(lines))
        assert abs(chosen.count(place) / len(lines) - probability) <= 4 * error + 1e-9


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_scored_under_the_softmax_that_sampled_it(kind: str) -> None:
    """So that the first ratio of an update is 1."""
    sets = AllowedSets(VOCABULARY)
    names = Choices([[5, 6, END], [5, 7, 9, END], [8, END]], sets)
    others = Choices([[3, END], [4, END]], sets)
    lines = [line(number, (names, others, None)[number % 3]) for number in range(9)]
    sampled(lines, kind)
    width = max(len(each.tokens) for each in lines)

    def padded(rows: list[list[int]], fill: float) -> torch.Tensor:
        return torch.tensor([[*row, *[fill] * (width - len(row))] for row in rows])

    scores = forward_log_probs(
        random_model(kind),
        padded([each.tokens for each in lines], PAD).long(),
        padded([each.turns for each in lines], -1) >= 0,
        padded([each.allowed for each in lines], FREE).long(),
        torch.from_numpy(sets.as_array()),
    )
    ratios = (scores.log_probs - padded([each.log_probs for each in lines], 0.0)).exp()
    assert torch.allclose(ratios, torch.ones_like(ratios), atol=1e-5)


def test_a_forced_token_is_certain() -> None:
    only = line(0, Choices([[7, 8, END]], AllowedSets(VOCABULARY)))
    sampled([only])
    assert only.reply == [7, 8, END]
    assert only.log_probs[only.start :] == [0.0, 0.0, 0.0]


def test_sets_are_numbered_once() -> None:
    sets = AllowedSets(4)
    assert [sets.number(tokens) for tokens in ([1, 2], [3], [2, 1, 1])] == [0, 1, 0]
    assert sets.as_array().tolist() == [[False, True, True, False], [False, False, False, True]]
    assert AllowedSets(4).as_array().shape == (0, 4)


@pytest.mark.parametrize("tokens", [[], [4], [-1]])
def test_sets_hold_tokens_that_there_are(tokens: list[int]) -> None:
    with pytest.raises(ValueError, match="from 0 to 3"):
        AllowedSets(4).number(tokens)


@pytest.mark.parametrize("sequences", [[], [[]], [[1], [1, 2]]])
def test_choices_are_told_apart(sequences: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="none the beginning of another"):
        Choices(sequences, AllowedSets(4))


def test_a_turn_must_have_room_for_its_choices() -> None:
    with pytest.raises(ValueError, match="too short for choices of 3"):
        line(0, Choices([[5, 6, END]], AllowedSets(VOCABULARY)), length=2)
