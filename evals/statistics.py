"""Intervals: bootstrap over dialogues, Student's t over training seeds, Wilson's of a share.

Student's t is inverted here (regularised incomplete beta by Lentz's continued fraction, Numerical
Recipes 6.4; then bisection), so that evaluation needs numpy only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from td_gym.errors import TdGymError

_Z95 = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution."""
Numbers = Sequence[float] | npt.NDArray[np.float64]
Cases = Sequence[int] | npt.NDArray[np.int64]


class Interval(NamedTuple):
    """A mean with its 95 % interval and the number of values it rests on."""

    mean: float
    low: float
    high: float
    n: int


def bootstrap_mean(values: Numbers, seed: int, n: int = 2000, cases: Cases | None = None) -> Interval:
    """Return the mean and its 95 % percentile bootstrap interval over ``n`` resamples.

    For one fixed policy over dialogues.  Values with one number in ``cases`` are of one case and are resampled
    together, since another draw of cases would have brought none of them or all; by default each is a case of its own.
    ``seed`` fixes the resampling.
    """
    data = _checked(values, "values")
    if n < 1:
        raise TdGymError(f"A bootstrap needs at least one resample, not {n}.")
    case = np.arange(len(data)) if cases is None else np.unique(np.asarray(cases), return_inverse=True)[1]
    sums, counts = np.bincount(case, data), np.bincount(case)
    rng = np.random.default_rng(seed)
    chunk = max(1, 2_000_000 // len(sums))
    means = []
    for start in range(0, n, chunk):
        drawn = rng.integers(0, len(sums), (min(chunk, n - start), len(sums)))
        means.append(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1))
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5])
    return Interval(float(data.mean()), float(low), float(high), len(data))


def wilson(hits: int, n: int) -> Interval:
    """Return the share ``hits / n`` with its 95 % Wilson score interval, which is no point where there are no hits."""
    if not 0 <= hits <= n or n == 0:
        raise TdGymError(f"{hits} of {n} is no share.")
    share, z2 = hits / n, _Z95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return Interval(share, min(share, middle - half), max(share, middle + half), n)


def mean_t(values: Numbers, level: float = 0.95) -> Interval:
    """Return the mean and its t-interval at ``level``, df = n - 1; for values of independent training seeds."""
    data = _checked(values, "values")
    if len(data) < 2:
        raise TdGymError("A t-interval needs at least two values; train more seeds.")
    half = t_quantile((1 + level) / 2, len(data) - 1) * float(data.std(ddof=1)) / math.sqrt(len(data))
    mean = float(data.mean())
    return Interval(mean, mean - half, mean + half, len(data))


def step_spread(values: Numbers) -> float:
    """Return the standard deviation (df = n - 1) of the steps from each of ``values`` to the next.

    How unstable training is, whatever the trend.  A value that is not a number ends one row of steps and begins
    another; fewer than two steps have no spread: ``nan``.
    """
    steps = np.diff(np.asarray(values, dtype=np.float64))
    known = steps[~np.isnan(steps)]
    return float(known.std(ddof=1)) if len(known) > 1 else math.nan


def paired_t(a: Numbers, b: Numbers, level: float = 0.95) -> Interval:
    """Return the mean of ``a - b`` and its t-interval; ``a[i]`` and ``b[i]`` share training seed i."""
    left, right = _checked(a, "values of the first method"), _checked(b, "values of the second method")
    if len(left) != len(right):
        raise TdGymError(f"Pairs need as many values on both sides, not {len(left)} and {len(right)}.")
    return mean_t(left - right, level)


def pass_hat_k(trials: Sequence[Sequence[bool]], k: int) -> float:
    """Return pass^k, the chance that ``k`` trials of a task all succeed, as the mean over tasks.

    ``trials[i]`` says which trials of task i succeeded.  Of n trials with c successes the unbiased estimate is
    C(c, k) / C(n, k) (tau-bench, arXiv 2406.12045).  Raises ``TdGymError`` for a task with fewer than ``k`` trials.
    """
    if not trials:
        raise TdGymError("There are no tasks to average.")
    fewest = min(map(len, trials))
    if not 1 <= k <= fewest:
        raise TdGymError(f"pass^{k} needs a k from 1 to the {fewest} trials of the task that has fewest.")
    return sum(math.comb(sum(each), k) / math.comb(len(each), k) for each in trials) / len(trials)


def t_quantile(p: float, df: int) -> float:
    """Return the ``p`` quantile of Student's t with ``df`` degrees of freedom, 0 < p < 1."""
    if not 0.0 < p < 1.0 or df < 1:
        raise TdGymError(f"Student's t has no quantile at p = {p} with {df} degrees of freedom.")
    if p < 0.5:
        return -t_quantile(1.0 - p, df)
    low, high = 0.0, 1.0
    while t_cdf(high, df) < p:
        low, high = high, high * 2.0
    for _ in range(200):
        middle = (low + high) / 2.0
        if middle in (low, high):
            break
        low, high = (middle, high) if t_cdf(middle, df) < p else (low, middle)
    return (low + high) / 2.0


def t_cdf(t: float, df: int) -> float:
    """Return P(T <= t) of Student's t with ``df`` degrees of freedom."""
    tail = 0.5 * _incomplete_beta(df / 2.0, 0.5, df / (df + t * t))
    return 1.0 - tail if t >= 0 else tail


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """Regularised incomplete beta I_x(a, b), 0 <= x <= 1."""
    if x in (0.0, 1.0):
        return x
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _beta_fraction(a, b, x) / a
    return 1.0 - front * _beta_fraction(b, a, 1.0 - x) / b


def _beta_fraction(a: float, b: float, x: float) -> float:
    tiny = 1e-300
    c, d = 1.0, 1.0 - (a + b) * x / (a + 1.0)
    d = 1.0 / (d if abs(d) > tiny else tiny)
    total = d
    for m in range(1, 400):
        for factor in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 + factor * d
            d = 1.0 / (d if abs(d) > tiny else tiny)
            c = 1.0 + factor / c
            c = c if abs(c) > tiny else tiny
            total *= c * d
        if abs(c * d - 1.0) < 1e-15:
            break
    return total


def _checked(values: Numbers, what: str) -> npt.NDArray[np.float64]:
    data = np.asarray(values, dtype=np.float64)
    if data.ndim != 1 or len(data) == 0:
        raise TdGymError(f"There are no {what} to average.")
    if not np.isfinite(data).all():
        raise TdGymError(f"The {what} hold a number that is not finite.")
    return data
