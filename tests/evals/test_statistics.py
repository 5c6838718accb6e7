import itertools
import math

import numpy as np
import pytest

from evals.statistics import bootstrap_mean, mean_t, paired_t, pass_hat_k, step_spread, t_cdf, t_quantile, wilson
from td_gym.errors import TdGymError

# Two-sided 95 % and 99 % critical values as printed in statistical tables.
TABLE = [
    (0.975, 1, 12.706),
    (0.975, 2, 4.303),
    (0.975, 4, 2.776),
    (0.975, 9, 2.262),
    (0.975, 30, 2.042),
    (0.975, 120, 1.980),
    (0.995, 1, 63.657),
    (0.995, 4, 4.604),
    (0.995, 10, 3.169),
    (0.9, 3, 1.638),
]


@pytest.mark.parametrize(("p", "df", "expected"), TABLE)
def test_t_quantile_agrees_with_printed_tables(p: float, df: int, expected: float) -> None:
    assert t_quantile(p, df) == pytest.approx(expected, abs=6e-4)
    assert t_quantile(1 - p, df) == pytest.approx(-expected, abs=6e-4)


def test_t_quantile_closed_forms_and_round_trip() -> None:
    assert t_quantile(0.75, 1) == pytest.approx(1.0, abs=1e-12)  # Cauchy
    assert t_quantile(0.9, 2) == pytest.approx(0.8 * np.sqrt(2 / (1 - 0.8**2)), abs=1e-12)
    assert t_quantile(0.5, 7) == pytest.approx(0.0, abs=1e-12)
    assert t_quantile(0.975, 1_000_000) == pytest.approx(1.959966, abs=1e-5)
    for df in (1, 3, 8, 50):
        for p in (0.51, 0.8, 0.99, 0.9999):
            assert t_cdf(t_quantile(p, df), df) == pytest.approx(p, abs=1e-12)


def test_mean_t_by_hand() -> None:
    # mean 3, sd sqrt(2.5), half width 2.776 * sqrt(2.5 / 5)
    interval = mean_t([1, 2, 3, 4, 5])
    assert interval.mean == 3.0
    assert interval.n == 5
    assert interval.high - 3.0 == pytest.approx(2.776445 * np.sqrt(0.5), abs=1e-5)
    assert 3.0 - interval.low == pytest.approx(interval.high - 3.0)


def test_paired_t_removes_what_the_seeds_share() -> None:
    shared = np.array([0.0, 10.0, -5.0, 3.0])
    interval = paired_t(shared + np.array([1.0, 1.1, 0.9, 1.0]), shared)
    assert interval.mean == pytest.approx(1.0)
    assert 0.8 < interval.low < interval.high < 1.2


def test_step_spread_by_hand() -> None:
    assert step_spread([0, 1, 0, 1]) == pytest.approx(math.sqrt(4 / 3))  # steps 1, -1, 1
    assert step_spread([5, 7, 9, 11]) == 0  # a trend is no instability
    assert step_spread([math.nan, math.nan, 1, 2, math.nan, 4, 7]) == pytest.approx(math.sqrt(2))  # steps 1 and 3
    assert math.isnan(step_spread([1, 2]))


def test_bootstrap_is_repeatable_and_has_the_width_of_the_standard_error() -> None:
    values = np.random.default_rng(1).normal(2.0, 1.0, 400)
    interval = bootstrap_mean(values, seed=7)
    assert interval == bootstrap_mean(values, seed=7)
    assert interval != bootstrap_mean(values, seed=8)
    assert interval.mean == pytest.approx(values.mean())
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)
    assert bootstrap_mean([4.0], seed=0)[:3] == (4.0, 4.0, 4.0)


@pytest.mark.parametrize("times", [1, 2, 5])
def test_a_case_that_was_held_again_makes_no_interval_narrower(times: int) -> None:
    values = np.random.default_rng(1).normal(2.0, 1.0, 40)
    repeated, cases = np.tile(values, times), [7 * case for case in range(40)] * times
    assert bootstrap_mean(repeated, seed=3, cases=cases)[:3] == pytest.approx(bootstrap_mean(values, seed=3)[:3])
    assert bootstrap_mean(repeated, seed=3, cases=cases).n == 40 * times


def test_cases_count_by_their_dialogues() -> None:
    """Resamples of two cases, 0 0 0 and 3: both of the first, one of each in two ways, both of the second."""
    low, high = bootstrap_mean([0.0, 0.0, 0.0, 3.0], seed=0, cases=[1, 1, 1, 2])[1:3]
    assert (low, high) == (0.0, 3.0)


def test_a_case_weighs_as_much_as_it_has_dialogues() -> None:
    """Twenty cases of nine zeros and twenty of one 1: the mean is 0.1, and that of the cases' means 0.5."""
    cases = [*np.repeat(np.arange(20), 9), *range(20, 40)]
    interval = bootstrap_mean([0.0] * 180 + [1.0] * 20, seed=0, cases=cases)
    assert interval.low < interval.mean == 0.1 < interval.high < 0.2


def test_bootstrap_covers_the_truth_about_nineteen_times_in_twenty() -> None:
    rng = np.random.default_rng(3)
    samples = (rng.binomial(1, 0.3, 100).astype(float) for _ in range(200))
    covered = [i.low <= 0.3 <= i.high for i in (bootstrap_mean(sample, seed=0, n=400) for sample in samples)]
    assert 0.88 <= np.mean(covered) <= 0.99


def test_impossible_input_is_refused() -> None:
    for call in (
        lambda: bootstrap_mean([], 0),
        lambda: bootstrap_mean([1.0, float("nan")], 0),
        lambda: bootstrap_mean([1.0], 0, n=0),
        lambda: mean_t([1.0]),
        lambda: mean_t([1.0, float("inf")]),
        lambda: paired_t([1.0, 2.0], [1.0]),
        lambda: t_quantile(1.0, 3),
    ):
        with pytest.raises(TdGymError):
            call()


def test_wilson_agrees_with_hand_worked_examples() -> None:
    """10 of 50: centre (0.2 + 1.9208/50) / (1 + 3.8415/50) = 0.22139, half 0.10890."""
    share = wilson(10, 50)
    assert (share.mean, share.n) == (0.2, 50)
    assert (share.low, share.high) == pytest.approx((0.11244, 0.33037), abs=1e-4)


def test_wilson_is_no_point_at_the_ends_and_stays_within_them() -> None:
    none, all_of_them = wilson(0, 100), wilson(100, 100)
    assert (none.mean, none.low) == (0.0, 0.0)
    assert none.high == pytest.approx(3.8415 / 103.8415, abs=1e-5)
    assert (all_of_them.mean, all_of_them.high) == (1.0, 1.0)
    assert all_of_them.low == pytest.approx(1 - none.high)


@pytest.mark.parametrize(("hits", "n"), [(0, 0), (3, 2), (-1, 5)])
def test_wilson_refuses_what_is_no_share(hits: int, n: int) -> None:
    with pytest.raises(TdGymError, match="is no share"):
        wilson(hits, n)


def test_pass_hat_k_by_hand() -> None:
    trials = [[True, True, False, True], [False, True, False, True], [True] * 4]
    assert pass_hat_k(trials, 1) == pytest.approx((3 / 4 + 2 / 4 + 1) / 3)
    assert pass_hat_k(trials, 2) == pytest.approx((3 / 6 + 1 / 6 + 1) / 3)
    assert pass_hat_k(trials, 4) == pytest.approx(1 / 3)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_pass_hat_k_is_unbiased(k: int) -> None:
    """Over all ways in which four trials that each succeed with probability .7 may go, it comes to .7 ** k."""
    expected = 0.0
    for trials in itertools.product([True, False], repeat=4):
        expected += 0.7 ** sum(trials) * 0.3 ** (4 - sum(trials)) * pass_hat_k([trials], k)
    assert expected == pytest.approx(0.7**k)


@pytest.mark.parametrize(("trials", "k"), [([], 1), ([[True]], 0), ([[True, True], [True]], 2), ([[]], 1)])
def test_pass_hat_k_refuses_what_it_cannot_estimate(trials: list[list[bool]], k: int) -> None:
    with pytest.raises(TdGymError):
        pass_hat_k(trials, k)


def test_an_interval_of_differences_has_the_level_asked_for() -> None:
    values = [1.0, 2.0, 3.0, 4.0, 5.0]
    assert mean_t(values, 0.99).high - 3.0 == pytest.approx(4.604 * 0.5**0.5, abs=1e-3)
    assert paired_t(values, [0.0] * 5, 0.99) == mean_t(values, 0.99)
