"""The controller by hand, and on a plant that behaves as a policy does."""

from __future__ import annotations

import json
from collections import deque
from statistics import pstdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.pid import PIDConfig, PIDLagrangian


def test_defaults_are_those_measured_to_settle() -> None:
    c = PIDConfig()
    assert (c.kp, c.ki, c.kd, c.initial, c.maximum, c.excess_smoothing) == (4.0, 0.2, 0.0, 1.0, 5.0, 0.0)


def test_three_updates_by_hand() -> None:
    pid = PIDLagrangian(0.3, PIDConfig(kp=2.0, ki=0.5, kd=1.0, initial=1.0, cost_smoothing=0.0, delay=2))
    # delta .2, I 1.1, no rise yet
    assert pid.update(0.5) == pytest.approx(2 * 0.2 + 1.1)
    # delta .5, I 1.35, rise .8 - .5 (history is seeded with its first value)
    assert pid.update(0.8) == pytest.approx(2 * 0.5 + 1.35 + 0.3)
    # delta -.3, I 1.2, the cost fell from .5 two updates ago: no derivative
    assert pid.update(0.0) == pytest.approx(2 * -0.3 + 1.2)


def test_the_derivative_looks_back_exactly_delay_updates() -> None:
    pid = PIDLagrangian(0.0, PIDConfig(kp=0.0, ki=0.0, kd=1.0, initial=0.0, cost_smoothing=0.0, delay=2))
    assert [round(pid.update(cost), 6) for cost in (0.1, 0.2, 0.4, 0.7)] == [0.0, 0.1, 0.3, 0.5]


def test_smoothing_starts_at_the_first_value() -> None:
    pid = PIDLagrangian(0.0, PIDConfig(kp=1.0, ki=0.0, initial=0.0, excess_smoothing=0.75))
    assert pid.update(0.4) == pytest.approx(0.4)
    assert pid.update(0.8) == pytest.approx(0.5)


def test_bounds() -> None:
    pid = PIDLagrangian(0.3, PIDConfig(integral_maximum=1.0))
    assert [pid.update(1.0) for _ in range(30)][-1] == pytest.approx(4 * 0.7 + 1.0)
    pid = PIDLagrangian(0.3)
    assert max(pid.update(1.0) for _ in range(100)) == 5.0
    pid = PIDLagrangian(0.3)
    assert min(pid.update(0.0) for _ in range(100)) == 0.0
    assert pid.integral == 0.0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.integers(0, 29))
def test_a_restored_controller_goes_on_as_if_nothing_happened(costs: list[float], cut: int) -> None:
    config = PIDConfig(kd=0.5, excess_smoothing=0.5, delay=3)
    whole, first, second = (PIDLagrangian(0.3, config) for _ in range(3))
    expected = [whole.update(cost) for cost in costs]
    found = [first.update(cost) for cost in costs[:cut]]
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    found += [second.update(cost) for cost in costs[cut:]]
    assert found == expected


def _plant(pid: PIDLagrangian, updates: int, k: float = 0.05, pull: float = 1.0, lag: int = 5) -> list[float]:
    """A rate that moves by ``k * (pull - lambda)``, where lambda acts ``lag`` updates late."""
    rate, rates = 0.5, []
    waiting = deque([pid.multiplier] * lag)
    for _ in range(updates):
        waiting.append(pid.update(rate))
        rate = min(max(rate + k * (pull - waiting.popleft()), 0.0), 1.0)
        rates.append(rate)
    return rates


@pytest.mark.parametrize("pull", [0.6, 1.0, 1.5])
def test_defaults_settle_on_the_plant(pull: float) -> None:
    rates = _plant(PIDLagrangian(0.3), 300, pull=pull)
    assert max(abs(rate - 0.3) for rate in rates[99:]) < 0.04
    assert max(abs(rate - 0.3) for rate in rates[199:]) < 0.02


def test_weak_gains_cycle_on_the_same_plant() -> None:
    rates = _plant(PIDLagrangian(0.3, PIDConfig(kp=0.5, ki=0.1, initial=0.0)), 1000)
    late = rates[-200:]
    assert max(late) > 0.5
    assert min(late) < 0.1
    assert pstdev(late) > 0.15
    assert sum(late) / len(late) == pytest.approx(0.3, abs=0.05), "its mean hides the cycle"


def test_the_multiplier_stops_at_the_maximum_that_is_set() -> None:
    pid = PIDLagrangian(0.3, PIDConfig(maximum=2.0))
    assert max(pid.update(1.0) for _ in range(30)) == 2.0
    pid = PIDLagrangian(0.3, PIDConfig(maximum=50.0))
    assert max(pid.update(1.0) for _ in range(100)) > 10.0
