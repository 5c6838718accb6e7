"""DuCA and GDPO by hand, what their units may not change, and the length bias of DuCA's ablations, exactly."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import product
from threading import Barrier, get_ident
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from agents.methods import build_method
from agents.trajectories import Trajectories
from tests.agents.micro import make_trajectories

T = 3
BUDGETS = {"voucher": 0.3}
grid = st.integers(0, 4).map(lambda n: n / 4)
rows = st.tuples(grid, st.integers(1, T), st.lists(st.tuples(grid, grid), min_size=T, max_size=T))
batches = st.lists(rows, min_size=6, max_size=6)


def dialogues(
    lengths: list[int], rewards: list[float], turn_rewards: Any, groups: list[int] | None = None
) -> Trajectories:
    """One token a turn; ``turn_rewards`` ``[B, T, K]``, numbers beyond the end are not to be read."""
    return make_trajectories(
        tokens=[[1] * T] * len(lengths),
        turn=[list(range(n)) + [-1] * (T - n) for n in lengths],
        rewards=rewards,
        groups=groups or [0] * len(lengths),
        turn_rewards=turn_rewards,
        term_names=[f"term_{k}" for k in range(len(turn_rewards[0][0]))],
    )


def one_term(rewards: list[list[float]]) -> list[list[list[float]]]:
    return [[[value] for value in row] for row in rewards]


def found(batch: Trajectories, preset: str = "", method: str = "duca", **options: Any) -> Tensor:
    """Return the advantages, ``[B, T]``."""
    return build_method(method, preset, BUDGETS, options).advantages(batch).tokens


# Three dialogues of 3, 2 and 2 turns.  Session rewards 1, 0, 0: mean 1/3, std sqrt(2)/3, z-scores sqrt 2, -1/sqrt 2.
HAND = dialogues([3, 2, 2], [1.0, 0.0, 0.0], one_term([[0.9, 0.6, 0.5], [0.6, 0.3, 9.0], [0.3, 0.0, 9.0]]))
SESSION = torch.tensor([2**0.5, -(0.5**0.5), -(0.5**0.5)])
REACHED = torch.tensor([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0], [1.0, 1.0, 0.0]])


def test_default_by_hand() -> None:
    # Means 0.6 and 0.3 at the first two turns leave 0.3, 0, -0.3 twice; the third has nothing to compare with.
    s = (4 * 0.09 / 6) ** 0.5
    turn = torch.tensor([[0.3, 0.3, 0.0], [0.0, 0.0, 0.0], [-0.3, -0.3, 0.0]]) / s
    torch.testing.assert_close(found(HAND), (SESSION[:, None] + turn) * REACHED)
    weighed = found(HAND, session_weight=0.5, turn_weight=2)
    torch.testing.assert_close(weighed, (0.5 * SESSION[:, None] + 2 * turn) * REACHED)


def test_one_horizon_by_hand() -> None:
    torch.testing.assert_close(found(HAND, "session_only"), SESSION[:, None] * REACHED)
    turn = torch.tensor([[0.3, 0.3, 0.0], [0.0, 0.0, 0.0], [-0.3, -0.3, 0.0]]) / 0.06**0.5
    torch.testing.assert_close(found(HAND, "turn_only"), turn)


def test_pooled_baseline_by_hand() -> None:
    # All seven turn rewards: 0.9, 0.6, 0.5, 0.6, 0.3, 0.3, 0, mean 3.2 / 7.
    values = torch.tensor([[0.9, 0.6, 0.5], [0.6, 0.3, 9.0], [0.3, 0.0, 9.0]])
    mean = 3.2 / 7
    std = ((0.81 + 0.36 + 0.25 + 0.36 + 0.09 + 0.09) / 7 - mean**2) ** 0.5
    expected = (SESSION[:, None] + (values - mean) / std) * REACHED
    torch.testing.assert_close(found(HAND, "pooled_baseline"), expected)


def test_fuse_then_normalise_by_hand() -> None:
    # Sums 1.9, 1.6, 1.5 and the rest as they are: the session reward counts three times, once a turn.
    values = torch.tensor([[1.9, 1.6, 1.5], [0.6, 0.3, 9.0], [0.3, 0.0, 9.0]])
    mean = 6.2 / 7
    std = ((3.61 + 2.56 + 2.25 + 0.36 + 0.09 + 0.09) / 7 - mean**2) ** 0.5
    torch.testing.assert_close(found(HAND, "fuse_then_normalise"), (values - mean) / std * REACHED)
    # Half the session reward is twice the turn reward, but for the scale that a z-score forgets.
    half, twice = (found(HAND, "fuse_then_normalise", **w) for w in ({"session_weight": 0.5}, {"turn_weight": 2}))
    torch.testing.assert_close(half, twice)
    assert (half - found(HAND, "fuse_then_normalise")).abs().max() > 0.05


def test_discounted_return_by_hand() -> None:
    # Returns 0.9 + 0.9 (0.6 + 0.45), 1.05; 0.87, 0.3; 0.3, 0 at discount 0.9.
    values = torch.tensor([[1.845, 1.05], [0.87, 0.3], [0.3, 0.0]])
    centred = values - values.mean(0)
    turn = torch.cat((centred / (centred**2).mean().sqrt(), torch.zeros(3, 1)), dim=1)
    torch.testing.assert_close(found(HAND, "discounted_return", session_weight=0), turn)


def test_terms_are_weighed_within_a_turn_score() -> None:
    terms = [[[1.0, 0.0]] * T, [[0.0, 0.5]] * T]
    batch = dialogues([1, 1], [0.0, 0.0], terms)
    torch.testing.assert_close(found(batch)[:, 0], torch.tensor([1.0, -1.0]))
    tilted = found(batch, term_weights={"term_1": 4.0})
    torch.testing.assert_close(tilted[:, 0], torch.tensor([-1.0, 1.0]))


def test_gdpo_by_hand() -> None:
    # Two groups of two.  First: R 1, 0 and term sums (0.5, 0), (0, 0), so 1 + 1 and -1 - 1.  Second: only the
    # second term differs, 0 against 0.5 + 0.5.  Weighted sums 2, -2, -1, 1: mean 0, std sqrt(2.5).
    terms = [
        [[0.5, 0.0], [0.0, 0.0], [9.0, 9.0]],
        [[0.0, 0.0], [9.0, 9.0], [9.0, 9.0]],
        [[0.1, 0.0], [9.0, 9.0], [9.0, 9.0]],
        [[0.1, 0.5], [0.0, 0.5], [9.0, 9.0]],
    ]
    batch = dialogues([2, 1, 1, 2], [1.0, 0.0, 0.0, 0.0], terms, [0, 0, 1, 1])
    expected = torch.tensor([2.0, -2.0, -1.0, 1.0])[:, None] * torch.from_numpy(batch.agent_mask).float()
    torch.testing.assert_close(found(batch, method="gdpo"), expected / 2.5**0.5)
    assert torch.equal(found(batch, "gdpo"), found(batch, method="gdpo"))
    # The second term three times as heavy: 2, -2, -3, 3.
    heavy = found(batch, method="gdpo", term_weights={"term_1": 3.0})
    torch.testing.assert_close(heavy[3, 0].item(), 3 / 6.5**0.5)


def test_gdpo_on_two_horizons_by_hand() -> None:
    # Turn scores are means of two terms: sums 0.25 against 0.5, the opposite order of R.  2 R against them: 1, -1.
    terms = [[[0.5, 0.0], [0.0, 0.0], [9.0, 9.0]], [[0.5, 0.5], [9.0, 9.0], [9.0, 9.0]]]
    batch = dialogues([2, 1], [1.0, 0.0], terms)
    torch.testing.assert_close(found(batch, "horizons", "gdpo"), torch.zeros(2, T))
    tilted = found(batch, "horizons", "gdpo", session_weight=2)
    torch.testing.assert_close(tilted, torch.tensor([[1.0, 1.0, 0.0], [-1.0, 0.0, 0.0]]))


def test_gdpo_tells_groups_apart_that_grpo_cannot() -> None:
    """The example of its paper: (0, 1) and (0, 2) rewards of two in a group are one z-score to GRPO."""
    terms = [[[0.0, 0.0]] * T, [[0.0, 1.0]] * T, [[0.0, 0.0]] * T, [[1.0, 1.0]] * T]
    batch = dialogues([1] * 4, [0.0] * 4, terms, [0, 0, 1, 1])
    torch.testing.assert_close(found(batch, "total", "grpo")[:, 0], torch.tensor([-1.0, 1.0, -1.0, 1.0]))
    expected = torch.tensor([-1.0, 1.0, -2.0, 2.0]) / 2.5**0.5
    torch.testing.assert_close(found(batch, method="gdpo")[:, 0], expected)


def drawn(case: list[Any], session: float = 1.0, turn: float = 1.0) -> Trajectories:
    """Two groups of three drawn dialogues, their rewards in other units."""
    rewards, lengths, terms = zip(*case, strict=True)
    scaled = [[[turn * value for value in pair] for pair in row] for row in terms]
    return dialogues(list(lengths), [session * r for r in rewards], scaled, [0, 0, 0, 1, 1, 1])


@settings(max_examples=40)
@given(batches, st.sampled_from([(100.0, 1.0), (1.0, 0.01), (100.0, 0.01)]))
def test_units_do_not_matter(case: list[Any], units: tuple[float, float]) -> None:
    for method, preset in [("duca", "default"), ("duca", "pooled_baseline"), ("gdpo", "default"), ("gdpo", "horizons")]:
        plain, scaled = (found(batch, preset, method) for batch in (drawn(case), drawn(case, *units)))
        torch.testing.assert_close(plain, scaled, atol=1e-3, rtol=1e-3)


@settings(max_examples=20)
@given(batches)
def test_groups_of_duca_do_not_look_at_each_other(case: list[Any]) -> None:
    whole = drawn(case)
    for preset in ("default", "pooled_baseline", "fuse_then_normalise"):
        for half in (range(3), range(3, 6)):
            part = found(whole.select(half), preset)
            torch.testing.assert_close(found(whole, preset)[half, : part.shape[1]], part)


def test_gdpo_normalises_over_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    rewards = [[[0.0]] * T, [[1.0]] * T, [[0.5]] * T, [[0.5]] * T, [[1.0]] * T, [[0.0]] * T]
    whole = dialogues([T] * 6, [0.0, 1.0, 0.0, 1.0, 1.0, 1.0], rewards, [0, 0, 1, 1, 2, 2])
    expected = found(whole, method="gdpo")
    barrier, sent = Barrier(2, timeout=30), {}

    def all_sum(values: Tensor) -> Tensor:
        sent[get_ident()] = values
        barrier.wait()
        total = torch.stack(list(sent.values())).sum(0)
        barrier.wait()
        return total

    monkeypatch.setattr("agents.methods.gdpo.all_sum", all_sum)
    with ThreadPoolExecutor(2) as processes:
        parts = list(processes.map(lambda rows: found(whole.select(rows), method="gdpo"), ([0, 1], [2, 3, 4, 5])))
    torch.testing.assert_close(torch.cat(parts), expected)


def test_units_matter_to_direct_fusion() -> None:
    other = dialogues([3, 2, 2], [100.0, 0.0, 0.0], HAND.turn_rewards.tolist())
    for method, preset in [("duca", "fuse_then_normalise"), ("grpo", "total")]:
        change = found(other, preset, method) - found(HAND, preset, method)
        assert change.abs().max() > 0.05


@settings(max_examples=40)
@given(batches, grid)
def test_constant_session_reward_leaves_the_turn_signal(case: list[Any], constant: float) -> None:
    same = drawn([(constant, *row[1:]) for row in case])
    assert torch.equal(found(same), found(same, "turn_only"))
    assert torch.equal(found(same), found(drawn(case), "turn_only"))


@settings(max_examples=40)
@given(batches)
def test_without_turn_weight_it_is_grpo_on_the_session_reward(case: list[Any]) -> None:
    batch = drawn(case)
    assert torch.equal(found(batch, turn_weight=0), found(batch, method="grpo"))
    assert torch.equal(found(batch, "session_only"), found(batch, method="grpo"))


@settings(max_examples=40)
@given(batches)
def test_turn_signal_is_standardised_over_what_can_be_compared(case: list[Any]) -> None:
    batch = drawn(case)
    signal = found(batch, "turn_only")
    for rows_of_group in (slice(0, 3), slice(3, 6)):
        part, mask = signal[rows_of_group], torch.from_numpy(batch.agent_mask)[rows_of_group]
        compared = mask & (mask.sum(0) >= 2)
        assert torch.equal(part[~compared], torch.zeros(int((~compared).sum())))
        torch.testing.assert_close(part.sum(0), torch.zeros(T), atol=1e-3, rtol=0)
        power = float((part[compared] ** 2).mean())
        assert power == 0.0 or power == pytest.approx(1.0, abs=1e-3)


@settings(max_examples=40)
@given(st.lists(st.floats(-4e-7, 4e-7), min_size=18, max_size=18), st.booleans())
def test_horizon_without_spread_contributes_nothing(noise: list[float], in_turns: bool) -> None:
    values = torch.tensor(noise).view(6, T, 1)
    calm = torch.zeros(6, T, 1)
    rewards = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]
    batch = dialogues(
        [T] * 6,
        rewards if in_turns else values[:, 0, 0].tolist(),
        (values if in_turns else calm).tolist(),
        [0, 0, 0, 1, 1, 1],
    )
    expected = found(batch, "session_only") if in_turns else torch.zeros(6, T)
    assert torch.equal(found(batch), expected)


def test_budgets_leave_the_advantage_alone() -> None:
    for method in ("duca", "gdpo"):
        without = build_method(method).advantages(HAND)
        assert torch.equal(without.tokens, found(HAND, method=method))
        assert without.metrics == {}


# The length bias, exactly.  After each of the first two turns the policy stops with a fixed probability; every way a
# group of three dialogues can go is one group of the batch, and the expectation is the sum over groups by their odds.
STOP = (0.3, 0.6, 1.0)
RISING, FALLING, LEVEL = (0.1, 0.5, 0.9), (0.9, 0.5, 0.1), (0.5, 0.5, 0.5)


def stopping_gradient(rewards: tuple[float, ...], method: str, preset: str, coin: float = 0.0) -> Tensor:
    """Return the expected gradient on the stop logits after turns 1 and 2, by enumeration.

    A turn is paid ``rewards[t]``, plus or minus ``coin`` by a fair coin of its own.  The derivative
    of a decision's log-probability by its logit is ``1 - p`` for stopping and ``-p`` for going on.
    """
    one = []
    for length in range(1, T + 1):
        stops = [0.0] * (length - 1) + [1.0]
        odds = torch.tensor([p if s else 1 - p for p, s in zip(STOP, stops, strict=False)], dtype=torch.float64).prod()
        for signs in product((-1, 1) if coin else (0,), repeat=length):
            paid = [r + coin * sign for r, sign in zip(rewards, signs, strict=False)] + [0.0] * (T - length)
            one.append((length, float(odds) / (2.0**length if coin else 1.0), paid))
    groups = list(product(one, repeat=3))
    everybody = [dialogue for group in groups for dialogue in group]
    batch = dialogues(
        [length for length, _, _ in everybody],
        [0.0] * len(everybody),
        one_term([paid for _, _, paid in everybody]),
        [number for number in range(len(groups)) for _ in range(3)],
    )
    advantage = found(batch, preset, method).double()
    lengths = torch.from_numpy(batch.turns)[:, None]
    index = torch.arange(T)[None, :]
    score = (index == lengths - 1).double() - torch.tensor(STOP, dtype=torch.float64)
    odds = torch.tensor([a[1] * b[1] * c[1] for a, b, c in groups], dtype=torch.float64)
    assert odds.sum().item() == pytest.approx(1.0)
    return (odds.repeat_interleave(3)[:, None] * advantage * score * (index < lengths)).sum(0)[: T - 1]


@pytest.mark.parametrize("rewards", [RISING, FALLING, LEVEL])
def test_same_index_does_not_push_on_when_to_stop(rewards: tuple[float, ...]) -> None:
    assert torch.equal(stopping_gradient(rewards, "duca", "default"), torch.zeros(T - 1, dtype=torch.float64))
    # Nor when turns differ by luck, so that there is something to normalise.
    noisy = stopping_gradient(rewards, "duca", "default", coin=0.25)
    assert noisy.abs().max() < 1e-6


@pytest.mark.parametrize(
    ("method", "preset", "later", "earlier"),
    [
        ("duca", "pooled_baseline", FALLING, RISING),
        ("duca", "fuse_then_normalise", FALLING, RISING),
        ("duca", "discounted_return", LEVEL, tuple(-r for r in LEVEL)),
        ("grpo", "total", LEVEL, tuple(-r for r in LEVEL)),
    ],
)
def test_the_others_push_to_end_late_or_early(
    method: str, preset: str, later: tuple[float, ...], earlier: tuple[float, ...]
) -> None:
    """Rewards depend on the turn's index alone, and yet one shape of them drags and another cuts short."""
    assert stopping_gradient(later, method, preset)[0] < -0.05
    assert stopping_gradient(earlier, method, preset)[0] > 0.05
