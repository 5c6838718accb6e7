"""The methods on batches small enough to work by hand."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from agents.losses import TokenScores
from agents.methods import budget_methods, build_method, customer_methods, method_names, presets
from agents.methods.base import turn_scores
from agents.methods.cmpo import CMPO, ReleasedCMPO
from agents.methods.ppo import PPO, token_rewards
from agents.trajectories import Trajectories
from td_gym.errors import TdGymError
from td_gym.scenario import TermSpec
from tests.agents.micro import make_trajectories

TURN = [[-1, 0, -1, 1], [-1, 0, 0, -1], [-1, 0, -1, 1], [-1, 0, -1, 1]]


def batch(**changes: Any) -> Trajectories:
    """Two groups of two dialogues; the first pair differs in reward and cost, the second does not."""
    settings: dict[str, Any] = {
        "tokens": [[1, 2, 3, 4]] * 4,
        "turn": TURN,
        "rewards": [4.0, 2.0, 3.0, 3.0],
        "groups": [5, 5, 6, 6],
        "costs": [1.0, 0.0, 0.0, 0.0],
        "turn_rewards": [
            [[1.0, 0.5], [1.0, 1.0]],
            [[0.0, 0.5], [0.0, 0.0]],
            [[1.0, 1.0], [0.0, 0.0]],
            [[1.0, 1.0], [1.0, 0.0]],
        ],
        "term_names": ("rules", "quality"),
        "term_weights": (2.0, 1.0),
    }
    return make_trajectories(**{**settings, **changes})


def test_weights_of_turn_scores_are_the_scenarios_unless_replaced() -> None:
    rows = batch()
    assert turn_scores(rows, {})[0].tolist() == pytest.approx([2.5 / 3, 1.0])
    assert turn_scores(rows, {"rules": 1.0})[0].tolist() == pytest.approx([0.75, 1.0])
    with pytest.raises(TdGymError, match="turn term 'rule'"):
        turn_scores(rows, {"rule": 1.0})


def spread(values: list[float]) -> Tensor:
    """Give each dialogue's value to its agent tokens."""
    mask = torch.tensor(TURN) >= 0
    return torch.tensor(values)[:, None] * mask


def test_names_and_default_presets() -> None:
    assert method_names() == ("sft", "ppo", "grpo", "cmpo", "duca", "gdpo", "more", "dpo", "gopo")
    assert presets("cmpo")[:3] == ("hybrid", "released", "outcome_scale_group")
    for method in method_names():
        for preset in presets(method):
            build_method(method, preset, {"voucher": 0.3})


def test_which_methods_need_what_only_the_service_seat_has() -> None:
    assert customer_methods() == ["ppo", "grpo", "dpo"]
    assert build_method("ppo", options={"turn_weight": 0.1}).needs_service
    assert [preset for preset in presets("grpo") if not build_method("grpo", preset).needs_service] == ["default"]


def test_which_methods_use_budgets() -> None:
    assert budget_methods() == ["grpo with preset fixed_penalty or dual_ascent", "cmpo"]
    assert build_method("grpo", "total", {"voucher": 0.3}, {"penalty": 0.5}).uses_budgets
    assert not build_method("grpo", "fixed_penalty", {"voucher": 0.3}, {"penalty": 0}).uses_budgets


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "cmpoo"}, "Did you mean 'cmpo'"),
        ({"method": "cmpo", "preset": "hybird"}, "Did you mean 'hybrid'"),
        ({"method": "grpo", "options": {"penalti": 1.0}}, "Did you mean 'penalty'"),
        ({"method": "grpo", "options": {"penalty": "much"}}, "must be a float"),
        ({"method": "cmpo", "options": {"pid": {"kq": 1.0}}}, "Unknown option of cmpo, pid 'kq'"),
        ({"method": "cmpo", "options": {"outcome_scale": "groups"}}, "Did you mean 'group'"),
        ({"method": "cmpo", "preset": "released", "budgets": {}}, "exactly one budget"),
        ({"method": "duca", "options": {"turn_baseline": "poled"}}, "Did you mean 'pooled'"),
        ({"method": "duca", "options": {"turn_credit": "imediate"}}, "Did you mean 'immediate'"),
        ({"method": "duca", "options": {"fusion": "fuse_then_normalize"}}, "Did you mean 'fuse_then_normalise'"),
        ({"method": "gdpo", "options": {"rewards": "horizon"}}, "Did you mean 'horizons'"),
        ({"method": "more", "options": {"scaffold": "merge"}}, "Did you mean 'merged'"),
        ({"method": "more", "options": {"weighting": "ranks"}}, "Did you mean 'rank'"),
        ({"method": "more", "options": {"ref_every": 0}}, "ref_every must be at least 1"),
        ({"method": "more", "options": {"reasoning_pace": 0.0}}, "reasoning_pace must be above 0"),
        ({"method": "more", "options": {"mac_weight": 0, "pnr_weight": 0}}, "nor both 0"),
        ({"method": "more", "preset": "merged", "options": {"rouge": True}}, "rouge is not among the rewards"),
        ({"method": "grpo", "options": {"loss": {"normalisation": "mean"}}}, "Unknown normalisation 'mean'"),
        ({"method": "grpo", "options": {"loss": {"constant": 0}}}, "constant must be above 0"),
        ({"method": "grpo", "options": {"loss": {"clip_low": -0.1}}}, "clip_low must not be negative"),
        ({"method": "grpo", "options": {"loss": "token"}}, "'loss' must be a table"),
        ({"method": "grpo", "options": {"penalty": True}}, "must be a float"),
        ({"method": "grpo", "options": {"penalty": float("nan")}}, "must be a float, not nan"),
        ({"method": "grpo", "options": {"dual_rate": -0.1}}, "dual_rate must not be negative"),
        ({"method": "grpo", "options": {"term_weights": {"x": "much"}}}, "must be a table of numbers"),
        ({"method": "grpo", "options": {"term_weights": 1.0}}, "must be a table of numbers"),
        ({"method": "cmpo", "options": {"pid": {"integral_maximum": "x"}}}, "'integral_maximum' must be a float"),
        ({"method": "cmpo", "options": {"pid": {"delay": 0}}}, "delay must be at least 1"),
        ({"method": "cmpo", "options": {"pid": {"delay": 1.5}}}, "'delay' must be a whole number"),
        ({"method": "cmpo", "options": {"pid": {"cost_smoothing": 1.5}}}, "cost_smoothing must be between 0 and 1"),
        ({"method": "cmpo", "options": {"pid": {"ki": -1}}}, "ki of a controller must not be negative"),
        ({"method": "cmpo", "options": {"scale_decay": 2}}, "scale_decay must be between 0 and 1"),
        ({"method": "cmpo", "preset": "released", "options": {"window": 0}}, "window must be at least 1"),
        ({"method": "cmpo", "preset": "released", "options": {"window": -1}}, "window must be at least 1"),
        (
            {"method": "cmpo", "preset": "released", "options": {"rate_weight": 2}},
            "rate_weight must be between 0 and 1",
        ),
        ({"method": "dpo", "options": {"loss": {"kl_beta": 0.5}}}, "dpo compares dialogues by a loss of its own"),
        ({"method": "sft", "options": {"loss": {"kl_beta": 0.5}}}, "sft learns by cross entropy"),
        ({"method": "ppo", "options": {"gamma": 1.5}}, "gamma must be between 0 and 1"),
        ({"method": "ppo", "options": {"value_coef": -1}}, "value_coef must not be negative"),
        ({"method": "gopo", "options": {"persistence": 2}}, "persistence must be between 0 and 1"),
    ],
)
def test_bad_input_is_one_clear_sentence(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(TdGymError, match=message):
        build_method(**arguments)


def test_options_reach_nested_configurations() -> None:
    method = build_method("cmpo", options={"pid": {"kp": 1}, "loss": {"kl_beta": 0.5}, "process_weight": 0})
    assert isinstance(method, CMPO)
    assert (method.config.pid.kp, method.loss.kl_beta, method.config.process_weight) == (1.0, 0.5, 0.0)
    assert method.config.pid.ki == 0.2


def test_a_cap_on_the_integral_may_be_a_number_or_none() -> None:
    for stated, taken in ((2, 2.0), (None, None)):
        method = build_method("cmpo", options={"pid": {"integral_maximum": stated}})
        assert method.config.pid.integral_maximum == taken


TERMS = {"polite": TermSpec(0.0, 1.0, "p", 2.0), "brief": TermSpec(0.0, 1.0, "b", 1.0)}


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"polit": 1.0}, "Unknown turn term 'polit'. Did you mean 'polite'"),
        ({"polite": -1.0}, "must add up to more than 0, their sum is 0"),
        ({"polite": 0, "brief": 0}, "must add up to more than 0"),
        ({"polite": math.inf}, "must add up to more than 0, their sum is inf"),
    ],
)
@pytest.mark.parametrize("method", ["ppo", "grpo", "cmpo", "duca", "gopo"])
def test_weights_that_do_not_go_with_the_turn_terms_are_refused(
    method: str, weights: dict[str, float], message: str
) -> None:
    options = {"term_weights": weights, **({"turn_weight": 1} if method in ("ppo", "grpo") else {})}
    with pytest.raises(TdGymError, match=message):
        build_method(method, options=options).check_terms(TERMS)


@pytest.mark.parametrize(
    ("method", "options"),
    [("ppo", {}), ("grpo", {}), ("cmpo", {"process_weight": 0}), ("duca", {"turn_weight": 0})],
)
def test_weights_of_turn_terms_that_count_for_nothing_are_refused(method: str, options: dict[str, float]) -> None:
    with pytest.raises(TdGymError, match="count for nothing here, so term_weights would too"):
        build_method(method, options={**options, "term_weights": {"polite": 3}}).check_terms(TERMS)


def test_weights_that_go_with_the_turn_terms_are_taken() -> None:
    for method in method_names():
        build_method(method).check_terms(TERMS)
        build_method(method).check_terms({})
    build_method("grpo", "total", {}, {"term_weights": {"polite": 0, "brief": 0.5}}).check_terms(TERMS)
    with pytest.raises(TdGymError, match="no turn terms to learn from, so 'polite'"):
        build_method("grpo", "total", {}, {"term_weights": {"polite": 1}}).check_terms({})
    # GDPO normalises each term by itself: no sum is divided by.
    build_method("gdpo", options={"term_weights": {"polite": -1}}).check_terms(TERMS)
    with pytest.raises(TdGymError, match="must add up"):
        build_method("gdpo", "horizons", options={"term_weights": {"polite": -1}}).check_terms(TERMS)


def test_sft_is_cross_entropy() -> None:
    method = build_method("sft")
    advantages = method.advantages(batch()).tokens
    loss, _ = method.token_loss(TokenScores(torch.full((4, 4), -2.0)), torch.zeros(4, 4), None, advantages)
    torch.testing.assert_close(loss, spread([2.0] * 4))
    assert method.learns_from == "expert"


def test_grpo_by_hand() -> None:
    found = build_method("grpo", budgets={"voucher": 0.3}).advantages(batch())
    torch.testing.assert_close(found.tokens, spread([1.0, -1.0, 0.0, 0.0]))


def test_grpo_with_turn_scores() -> None:
    # Sums of turn scores: 0.75 + 1, 0.25 (one turn only), 1 + 0, 1 + 0.5.
    method = build_method("grpo", options={"turn_weight": 1.0})
    torch.testing.assert_close(method.advantages(batch()).tokens, spread([1.0, -1.0, -1.0, 1.0]))


@pytest.mark.parametrize(
    ("preset", "dearest"), [("total_session_tenth", False), ("total", False), ("total_session_tenfold", True)]
)
def test_grpo_on_the_total_depends_on_the_scale_of_the_session_reward(preset: str, dearest: bool) -> None:
    # Session rewards 0.2 and 0, sums of turn scores 0.25 and 1.75: the tenfold session reward wins.
    turn_rewards = [[[0.0, 0.5], [0.0, 0.0]], [[1.0, 0.5], [1.0, 1.0]]]
    found = build_method("grpo", preset).advantages(
        batch(
            tokens=[[1, 2, 3, 4]] * 2,
            turn=[TURN[0]] * 2,
            rewards=[0.2, 0.0],
            groups=[0, 0],
            costs=[0.0] * 2,
            turn_rewards=turn_rewards,
        )
    )
    assert found.tokens[0, 1].item() == pytest.approx(1.0 if dearest else -1.0)


def test_grpo_with_a_fixed_penalty() -> None:
    dear = build_method("grpo", "fixed_penalty", {"voucher": 0.3}, {"penalty": 3})
    for _ in range(3):
        found = dear.advantages(batch())
    torch.testing.assert_close(found.tokens, spread([-1.0, 1.0, 0.0, 0.0]))
    assert found.metrics["pid/voucher/lambda"] == 3.0


def test_grpo_with_dual_ascent_moves_the_price_before_the_step() -> None:
    method = build_method("grpo", "dual_ascent", {"voucher": 0.05})
    prices = [method.advantages(batch()).metrics["pid/voucher/lambda"] for _ in range(3)]
    assert prices == pytest.approx([0.04, 0.08, 0.12])
    under = build_method("grpo", "dual_ascent", {"voucher": 0.9})
    assert under.advantages(batch()).metrics["pid/voucher/lambda"] == 0.0


def test_grpo_equals_cmpo_without_process_and_cost_on_group_scale() -> None:
    cmpo = build_method("cmpo", "outcome_scale_group", {}, {"process_weight": 0.0})
    torch.testing.assert_close(cmpo.advantages(batch()).tokens, build_method("grpo").advantages(batch()).tokens)


def test_cmpo_by_hand() -> None:
    method = build_method("cmpo", budgets={"voucher": 0.05})
    found = method.advantages(batch())
    # J_c = .25, delta = .2: I = 1 + .2 * .2, lambda = 4 * .2 + I.
    multiplier = 4 * 0.2 + 1.04
    assert found.metrics["pid/voucher/lambda"] == pytest.approx(multiplier)
    # Outcome: +-1, 0, 0 over the std of (1, -1, 0, 0).
    s_out = 0.5**0.5
    # Turn scores, rules weighing 2: (2.5/3, 1), (.5/3, -), (1, 0), (1, 2/3).  The first group's
    # second turn was reached by one dialogue only.
    first, second = (2.5 - 0.5) / 6, 1 / 3
    s_proc = ((2 * first**2 + 2 * second**2) / 7) ** 0.5
    outcome = torch.tensor([1.0, -1.0, 0.0, 0.0]) / s_out
    process = torch.tensor([[first, 0.0], [-first, 0.0], [0.0, -second], [0.0, second]]) / s_proc
    cost = torch.tensor([0.5, -0.5, 0.0, 0.0])
    by_turn = (outcome[:, None] + 0.5 * process - multiplier * cost[:, None]) / (1 + multiplier)
    turn = torch.tensor(TURN)
    expected = torch.where(turn >= 0, by_turn.gather(1, turn.clamp(min=0)), torch.zeros(()))
    torch.testing.assert_close(found.tokens, expected)


def test_cmpo_without_budget_is_outcome_and_process() -> None:
    free = build_method("cmpo", options={"process_weight": 0.0}).advantages(batch())
    torch.testing.assert_close(free.tokens, spread([2**0.5, -(2**0.5), 0.0, 0.0]))
    assert not any(name.startswith("pid/") for name in free.metrics)


def test_cmpo_outcome_scale_is_slow_and_ignores_reward_units_at_the_start() -> None:
    rewards = np.array([4.0, 2.0, 3.0, 3.0])
    one, hundred = (build_method("cmpo", budgets={"voucher": 0.3}) for _ in range(2))
    torch.testing.assert_close(
        one.advantages(batch(rewards=rewards)).tokens, hundred.advantages(batch(rewards=100 * rewards)).tokens
    )
    assert isinstance(one, CMPO)
    first = one.outcome_std
    one.advantages(batch(rewards=[3.0] * 4))
    assert first is not None
    assert one.outcome_std == pytest.approx(0.98 * first)


def test_cmpo_takes_no_scale_from_what_rounding_leaves() -> None:
    method, fresh = (build_method("cmpo") for _ in range(2))
    assert isinstance(method, CMPO)
    method.advantages(batch(rewards=[1.0, 1.0000001, 3.0, 3.0]))
    assert method.outcome_std is not None
    assert 0 < method.outcome_std < 1e-6
    assert torch.equal(method.advantages(batch()).tokens, fresh.advantages(batch()).tokens)


def test_cmpo_group_scale_differs_from_the_pooled_one_only_between_groups() -> None:
    rewards = [4.0, 2.0, 3.1, 2.9]
    quiet = {"rewards": rewards, "costs": [0.0] * 4}
    pooled = build_method("cmpo", options={"process_weight": 0.0}).advantages(batch(**quiet)).tokens
    grouped = build_method("cmpo", "outcome_scale_group", options={"process_weight": 0.0})
    torch.testing.assert_close(grouped.advantages(batch(**quiet)).tokens, spread([1.0, -1.0, 1.0, -1.0]))
    assert pooled[0, 1] / pooled[2, 1] == pytest.approx(10.0, rel=1e-4)


def test_released_by_hand() -> None:
    method = build_method("cmpo", "released", {"voucher": 0.0}, {"window": 4})
    assert isinstance(method, ReleasedCMPO)
    method.multiplier = 1.0
    settings = {"rewards": [1.0, 0.5, 0.0, 0.0], "costs": [1.0, 0.0, 0.0, 0.0]}
    found = method.advantages(batch(**settings))
    # u = (0, .5, 0, 0): only the second is positive and gets its process score, 2 * .5/3.
    torch.testing.assert_close(found.tokens, spread([-1.0, 1.0, 0.0, 0.0]))
    assert found.metrics["pid/voucher/lambda"] == 1.0
    # One window closed: rate .25, average .7 * .25, multiplier up by .2 of it.
    assert method.rate == pytest.approx(0.175)
    assert method.multiplier == pytest.approx(1.035)


def test_released_adds_process_to_positive_outcomes() -> None:
    method = build_method("cmpo", "released", {"voucher": 0.3}, {"process_weight": 9.0})
    found = method.advantages(batch(rewards=[3.0, 4.0, 3.0, 3.0], costs=[0.0] * 4))
    # 3 + 9 * 2.75/3 against 4 + 9 * .5/3; 3 + 9 * .5 against 3 + 9 * 2.5/3.
    torch.testing.assert_close(found.tokens, spread([1.0, -1.0, -1.0, 1.0]))


def test_released_waits_for_a_full_window() -> None:
    method = build_method("cmpo", "released", {"voucher": 0.0}, {"window": 6})
    assert isinstance(method, ReleasedCMPO)
    method.advantages(batch())
    assert (method.multiplier, len(method.waiting)) == (0.0, 4)
    method.advantages(batch())
    # The six oldest hold both vouchers.
    assert method.multiplier == pytest.approx(0.2 * 0.7 * 2 / 6)
    assert len(method.waiting) == 2


def test_ppo_pays_turns_and_session_where_they_end() -> None:
    rewards = token_rewards(batch(), torch.tensor([[0.1, 0.2], [0.3, 9.0], [0.0, 0.0], [0.0, 0.0]]))
    expected = torch.tensor([[0, 0.1, 0, 4.2], [0, 0, 2.3, 0], [0, 0, 0, 3.0], [0, 0, 0, 3.0]])
    torch.testing.assert_close(rewards, expected)


def test_ppo_pays_a_turn_once_though_its_plan_stands_apart() -> None:
    """Plan, what was read after it, reply: a score, and at the end the reward, come with the reply's last token."""
    rows = make_trajectories(
        tokens=[[7, 1, 8, 2, 3, 9, 1, 8, 4]], turn=[[-1, 0, -1, 0, 0, -1, 1, -1, 1]], rewards=[5.0], groups=[0]
    )
    paid = token_rewards(rows, torch.tensor([[0.5, 0.25]]))
    assert paid.tolist() == [[0, 0, 0, 0, 0.5, 0, 0, 0, 5.25]]


def test_ppo_standardises_and_starts_its_value_at_the_mean_reward() -> None:
    method = build_method("ppo", options={"gae_lambda": 1.0})
    method.build(16)
    assert isinstance(method, PPO)
    assert method.value_head is not None
    found = method.advantages(batch(), torch.zeros(4, 4))
    assert method.value_head.bias.item() == pytest.approx(3.0)
    # Residuals 1, -1, 0, 0 on 2, 2, 2, 2 tokens.
    torch.testing.assert_close(found.tokens, spread([2**0.5, -(2**0.5), 0.0, 0.0]))
    assert found.returns is not None
    torch.testing.assert_close(found.returns, spread([4.0, 2.0, 3.0, 3.0]))
    again = method.advantages(batch(), torch.full((4, 4), 3.0))
    assert method.value_head.bias.item() == pytest.approx(3.0)
    torch.testing.assert_close(again.tokens, found.tokens)
    with pytest.raises(ValueError, match="values"):
        method.advantages(batch())


@pytest.mark.parametrize(
    ("method", "preset"), [(method, preset) for method in method_names() for preset in presets(method)]
)
def test_state_survives_json(method: str, preset: str) -> None:
    def fresh() -> Any:
        built = build_method(method, preset, {"voucher": 0.05})
        built.build(16)
        return built

    whole, first, second = fresh(), fresh(), fresh()
    values = torch.zeros(4, 4) if whole.value_head is not None else None
    whole.advantages(batch(), values)
    first.advantages(batch(), values)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    other = batch(rewards=[1.0, 5.0, 2.0, 4.0])
    after, expected = second.advantages(other, values), whole.advantages(other, values)
    assert torch.equal(after.tokens, expected.tokens)
    assert after.metrics == expected.metrics
    assert second.state_dict() == whole.state_dict()


@pytest.mark.parametrize(
    ("method", "preset"), [(method, preset) for method in method_names() for preset in presets(method)]
)
def test_only_agent_tokens_get_an_advantage(method: str, preset: str) -> None:
    built = build_method(method, preset, {"voucher": 0.3})
    built.build(16)
    values = torch.rand(4, 4, generator=torch.Generator().manual_seed(0)) if built.value_head is not None else None
    found = built.advantages(batch(), values)
    assert found.tokens.dtype == torch.float32
    assert torch.equal(found.tokens[torch.tensor(TURN) < 0], torch.zeros(8))


@pytest.mark.parametrize("preset", presets("cmpo"))
def test_every_cmpo_preset_pushes_against_overspending(preset: str) -> None:
    """With equal rewards and no turn scores, only the cost differs: the spender must be pushed down."""
    settings = {"rewards": [3.0] * 4, "turn_rewards": np.zeros((4, 2, 2)).tolist()}
    method = build_method("cmpo", preset, {"voucher": 0.0}, {"window": 4} if preset == "released" else {})
    for _ in range(2):
        found = method.advantages(batch(**settings))
    assert found.tokens[0, 1] < 0 < found.tokens[1, 1]


def test_a_fixed_price_may_be_dear() -> None:
    method = build_method("grpo", "fixed_penalty", {"voucher": 0.3}, {"penalty": 8})
    assert method.advantages(batch()).metrics["pid/voucher/lambda"] == 8.0


def test_released_closes_every_window_that_a_batch_fills() -> None:
    method = build_method("cmpo", "released", {"voucher": 0.0}, {"window": 2})
    assert isinstance(method, ReleasedCMPO)
    method.advantages(batch())  # rates 1/2 and 0: averages .35 and .105
    assert method.multiplier == pytest.approx(0.2 * (0.35 + 0.105))
    assert method.waiting == []
