"""Every id keeps Gymnasium's rules: checks, determinism, seeds, vectors."""

from __future__ import annotations

import copy
import pickle
import re
import subprocess
import sys
import warnings
from inspect import signature
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.error import CustomSpaceError
from gymnasium.spaces import Dict
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.vector.utils import create_shared_memory

import td_gym
from td_gym.envs.gym import DialogueEnv
from td_gym.envs.spaces import Names, OpenText
from td_gym.envs.vector import DialogueVectorEnv
from td_gym.envs.wrappers import SafetyStep
from td_gym.errors import TdGymError
from td_gym.registration import register_envs, scenario_options
from td_gym.scenario import Scenario
from td_gym.scenarios.desk import Desk
from tests.conformance.conftest import OF_DESKS, dialogue, players


def make(env_id: str, options: dict[str, Any]) -> gymnasium.Env[Any, Any]:
    return gymnasium.make(env_id, **options)


@pytest.mark.parametrize("options", [{}, {"seat": "customer"}, {"debug": True, "split": "test"}], ids=str)
def test_check_env_without_warnings(env_id: str, options: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make(env_id, disable_env_checker=True, **options).unwrapped)


def test_two_copies_side_by_side(env_id: str, scenario: Scenario) -> None:
    """Equal over 30 and more dialogues, by seed and by the seeds they draw themselves."""
    agents = players(scenario)
    first, second = gymnasium.make(env_id), gymnasium.make(env_id)
    for number in range(5 * len(agents)):
        player = list(agents.values())[number % len(agents)]
        reset = {"seed": number} if number % 3 == 0 else {}
        left, right = dialogue(first, player, **reset), dialogue(second, player, **reset)
        for one, other in zip(left, right, strict=True):
            assert data_equivalence(one, other, exact=True)


def test_wrong_actions_are_one_sentence(env_id: str) -> None:
    env = gymnasium.make(env_id, disable_env_checker=True)
    env.reset(seed=0)
    for action in (None, 3, b"text", ["a"], np.array(["a"])):
        with pytest.raises(TdGymError, match=r"must be text \(str\)"):
            env.step(action)
    env.step("still alive")


def test_wrong_arguments_name_what_is_known(env_id: str, scenario: Scenario) -> None:
    for argument in ("population", "split", "customer", "seat", "render_mode"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Gymnasium warns of the render mode before we refuse it
            with pytest.raises(TdGymError, match=r"'nobody'.*Known: "):
                make(env_id, {argument: "nobody"})
    with pytest.raises(TdGymError, match=r"'populatoin'.*'population'"):
        gymnasium.make(env_id, populatoin="hard")
    with pytest.raises(TdGymError, match="'populatoin'"):
        gymnasium.make_vec(env_id, num_envs=2, populatoin="hard")
    with pytest.raises(TdGymError, match="Unknown environment"):
        td_gym.make_scenario("td_gym/Nothing-v0")
    with pytest.raises(TdGymError, match="Unknown environment"):
        td_gym.make_scenario("Nothing")
    with pytest.raises(TdGymError, match=f"is the Discrete view of {env_id!r}; name that here"):
        td_gym.make_scenario(env_id.replace("-v0", "Strategy-v0"))
    with pytest.raises(TdGymError, match=r"made by gymnasium\.make alone"):
        td_gym.make_scenario("td_gym/Tau2-v0")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_turns": 2.5}, "max_turns must be a whole number of at least 1, not 2.5"),
        ({"max_turns": "3"}, "max_turns must be a whole number of at least 1, not '3'"),
        ({"max_turns": True}, "max_turns must be a whole number of at least 1, not True"),
        ({"max_chars": 0}, "max_chars must be a whole number of at least 1, not 0"),
        ({"split": None}, "Unknown split None"),
        ({"seat": 1}, "Unknown seat 1"),
        ({"population": 5}, "Unknown population 5"),
        ({"transfer": "yes"}, "transfer must be True or False, not 'yes'"),
        ({"debug": "x"}, "debug must be True or False, not 'x'"),
        ({"disclosure": ["honest"]}, r"Unknown disclosure \['honest'\]"),
        ({"customer": 5}, "A customer is named, or is a policy"),
    ],
    ids=str,
)
def test_arguments_of_the_wrong_kind_are_one_sentence(
    env_id: str, scenario: Scenario, arguments: dict[str, Any], message: str
) -> None:
    if not isinstance(scenario, Desk) and arguments.keys() & OF_DESKS:
        pytest.skip("an option of desks alone")
    with pytest.raises(TdGymError, match=message):
        make(env_id, arguments)
    with pytest.raises(TdGymError, match=message):
        gymnasium.make_vec(env_id, num_envs=2, **arguments)


def test_a_file_of_cases_is_a_path() -> None:
    with pytest.raises(TdGymError, match="scenarios must be the path of a file, not 5"):
        gymnasium.make("td_gym/FoodDispute-v0", scenarios=5)


def test_an_unknown_argument_names_those_of_view_and_scenario(env_id: str) -> None:
    with pytest.raises(TdGymError, match=r"'custmer'\. Did you mean 'customer'") as caught:
        gymnasium.make(env_id, custmer="scripted")
    for known in ("split", "customer", "seat", "debug", "render_mode", "population", "max_turns"):
        assert known in str(caught.value).partition("Known: ")[2]
    with pytest.raises(TdGymError, match="autoreset_mode"):
        gymnasium.make_vec(env_id, num_envs=2, custmer="scripted")


def test_every_argument_is_documented(env_id: str, scenario: Scenario) -> None:
    arguments = str(DialogueEnv.__doc__).partition("## Arguments")[2].partition("##")[0]
    own = [p.name for p in signature(DialogueEnv).parameters.values() if p.kind is p.KEYWORD_ONLY]
    for name in (*scenario_options(env_id), *own):
        assert re.search(rf"`{name}[`=]", arguments), name
    for name, default in re.findall(r'`(\w+)="(\w+)"`', arguments):
        if name in OF_DESKS and not isinstance(scenario, Desk):
            continue
        given = signature(DialogueEnv).parameters.get(name) or signature(type(scenario)).parameters[name]
        assert given.default == default, name


def test_unknown_options_of_reset_are_refused(env_id: str) -> None:
    with pytest.raises(TdGymError, match=r"option of reset\(\) 'scenari'\. Did you mean 'scenario'"):
        gymnasium.make(env_id).reset(options={"scenari": 3})
    with pytest.raises(TdGymError, match=r"'reset_mas'\. Did you mean 'reset_mask'"):
        gymnasium.make_vec(env_id, num_envs=2).reset(options={"reset_mas": 3})


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("<action>vouchr</action>", "unknown action 'vouchr'"),
        ("<action>{tool} note=x</action>", "{tool} has no argument 'note'"),
        ("<think>let me see", "<think> is never closed"),
        ("x" * 5000, "longer than 4096 characters"),
    ],
    ids=["action", "argument", "tag", "length"],
)
def test_a_format_error_says_what_was_wrong(env_id: str, scenario: Scenario, text: str, error: str) -> None:
    tool = next(iter(scenario.tools))
    env = gymnasium.make(env_id, render_mode="ansi")
    env.reset(seed=0)
    *_, info = env.step(text.format(tool=tool))
    assert info["outcome"]["ended_by"] == "format_error"
    assert info["outcome"]["error"] == error.format(tool=tool)
    rendered: Any = env.render()
    assert f"error: {error.format(tool=tool)}" in rendered


def test_only_a_format_error_has_an_error(env_id: str, scenario: Scenario) -> None:
    *_, (*_, info) = dialogue(gymnasium.make(env_id), players(scenario)["expert"], seed=0)
    assert "error" not in info["outcome"]


def test_a_running_conversation_can_be_copied_and_pickled(env_id: str) -> None:
    env = gymnasium.make(env_id)
    env.reset(seed=0)
    env.step("Hello. What was wrong with it?")
    twins = [env, copy.deepcopy(env), pickle.loads(pickle.dumps(env))]
    answers = [twin.step("I am sorry. Could you send a photo?")[0]["text"] for twin in twins]
    assert answers == [answers[0]] * 3


def test_rows_need_a_file(env_id: str) -> None:
    env = gymnasium.make(env_id)
    with pytest.raises(TdGymError, match="leave the row out"):
        env.reset(options={"scenario": 0})
    with pytest.raises(TdGymError, match="number of a row"):
        env.reset(options={"scenario": "first"})


NO_SEEDS = (-1, 2.9, "12", "x", True, np.int64(-5), [3])


@pytest.mark.parametrize("seed", NO_SEEDS, ids=repr)
def test_what_is_no_seed_is_refused_in_words_and_changes_nothing(env_id: str, scenario: Scenario, seed: Any) -> None:
    expected = "A seed must be a non-negative whole number, not "
    with pytest.raises(TdGymError, match=expected):
        scenario.begin(seed)
    env, untouched = gymnasium.make(env_id), gymnasium.make(env_id)
    env.reset(seed=4)
    with pytest.raises(TdGymError, match=expected):
        env.reset(seed=seed)
    untouched.reset(seed=4)
    assert env.reset()[1] == untouched.reset()[1]
    vector, still = (gymnasium.make_vec(env_id, num_envs=2) for _ in range(2))
    for one in (vector, still):
        one.reset(seed=4)
    for seeds in ([0, seed], *([] if isinstance(seed, list) else [seed])):
        with pytest.raises(TdGymError, match=expected):
            vector.reset(seed=seeds)
    assert data_equivalence(vector.reset(), still.reset(), exact=True)


@pytest.mark.parametrize("seed", [np.int64(5), np.uint8(5), np.array(5)], ids=repr)
def test_a_whole_number_of_numpy_is_a_seed(env_id: str, scenario: Scenario, seed: Any) -> None:
    assert type(scenario.begin(seed).seed) is int
    env = gymnasium.make(env_id)
    assert env.reset(seed=seed)[1] == env.reset(seed=5)[1]
    vector = gymnasium.make_vec(env_id, num_envs=2)
    plain = vector.reset(seed=5)
    for seeds in (seed, np.array([5, 6]), [seed, 6]):
        assert data_equivalence(vector.reset(seed=seeds), plain, exact=True)


def test_the_turn_limit_truncates(env_id: str) -> None:
    env = gymnasium.make(env_id, max_turns=1)
    env.reset(seed=0)
    *_, terminated, truncated, info = env.step("Hello.")
    assert (terminated, truncated) == (False, True)
    assert (info["outcome"]["ended_by"], info["outcome"]["turns"]) == ("turn_limit", 1)


def test_rendering_is_the_transcript(env_id: str, scenario: Scenario) -> None:
    env = gymnasium.make(env_id, render_mode="ansi")
    for _ in dialogue(env, players(scenario)["expert"], seed=0):
        rendered: Any = env.render()
        assert isinstance(rendered, str)
        for turn in env.unwrapped.episode.transcript:  # type: ignore[attr-defined]
            assert turn.shown.split("\n")[0] in rendered
    assert "turns: " in rendered


def test_rendering_shows_a_message_that_is_none(env_id: str) -> None:
    env = gymnasium.make(env_id, render_mode="ansi")
    env.reset(seed=0)
    env.step("<think>what now\nservice: fine")
    assert "\nservice: <think>what now\n  service: fine\n-- " in str(env.render())


def test_vectors_say_by_which_seeds_they_draw(env_id: str) -> None:
    ours = gymnasium.make_vec(env_id, num_envs=2)
    theirs = SyncVectorEnv([lambda: gymnasium.make(env_id)] * 2)
    for env in (ours, theirs):
        env.reset(seed=[7, 3])
        assert env.np_random_seed == (7, 3)
    drawn = [[int(random.integers(1000)) for random in env.np_random] for env in (ours, theirs)]  # type: ignore[attr-defined]
    assert drawn[0] == drawn[1]
    assert data_equivalence(ours.reset(), theirs.reset(), exact=True)


def test_safety_step_has_six_values(env_id: str) -> None:
    env = SafetyStep(gymnasium.make(env_id))
    env.reset(seed=0)
    observation, reward, cost, terminated, truncated, info = env.step("Hello.")
    assert observation in env.observation_space
    assert (reward, cost, terminated, truncated) == (0.0, info["cost"], False, False)


def test_registration_is_idempotent_and_ids_load_by_module(env_id: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        register_envs()
    gymnasium.make(f"td_gym:{env_id}").close()
    assert td_gym.make_scenario(f"td_gym:{env_id}").name in td_gym.scenario_names()


def test_import_is_light() -> None:
    code = (
        "import sys, time; begun = time.perf_counter(); import td_gym; spent = time.perf_counter() - begun;"
        "assert not {'torch', 'transformers'} & set(sys.modules); print(spent)"
    )
    spent = float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
    assert spent < 5  # an order of magnitude of room for a busy machine


MODES = [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED]


@pytest.mark.parametrize("mode", MODES)
def test_vectors_equal_single_environments(env_id: str, mode: AutoresetMode) -> None:
    """Against ``SyncVectorEnv`` of single environments, until every conversation has ended twice and more."""
    count = 3
    ours = gymnasium.make_vec(env_id, num_envs=count, autoreset_mode=mode)
    assert isinstance(ours, DialogueVectorEnv)
    theirs = SyncVectorEnv([lambda: gymnasium.make(env_id)] * count, autoreset_mode=mode)
    assert ours.single_observation_space == theirs.single_observation_space
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    assert data_equivalence(ours.reset(seed=11), theirs.reset(seed=11), exact=True)
    ends = np.zeros(count, dtype=int)
    over = np.zeros(count, dtype=bool)
    step = 0
    while ends.min() <= 2:
        if mode is AutoresetMode.DISABLED and over.any():
            seeds = [None, 100 + step, None]
            mine = ours.reset(seed=seeds, options={"reset_mask": over.copy()})
            yours = theirs.reset(seed=seeds, options={"reset_mask": over.copy()})
            assert data_equivalence(mine, yours, exact=True)
        texts = [f"Sorry, I see, {step}.", "<think>" if step % 4 == 3 else "Hm.", f"What was wrong? {step}"]
        one, other = ours.step(texts), theirs.step(tuple(texts))
        assert data_equivalence(one, other, exact=True)
        over = one[2] | one[3]
        ends += over
        step += 1


def test_disabled_vectors_refuse_to_step_what_is_over(env_id: str) -> None:
    env = gymnasium.make_vec(env_id, num_envs=2, autoreset_mode="Disabled")
    env.reset(seed=0)
    env.step(["<think>", "Hello."])
    with pytest.raises(TdGymError, match="Conversation 0 is over"):
        env.step(["Hello.", "Hello."])


def test_vector_arguments(env_id: str) -> None:
    with pytest.raises(TdGymError, match="autoreset mode"):
        gymnasium.make_vec(env_id, num_envs=2, autoreset_mode="Sometimes")
    for number in (0, 2.0, "2", True):
        with pytest.raises(TdGymError, match="num_envs must be a whole number of at least 1"):
            gymnasium.make_vec(env_id, num_envs=number)
    env = gymnasium.make_vec(env_id, num_envs=2)
    with pytest.raises(TdGymError, match="reset"):
        env.step(["a", "b"])
    with pytest.raises(TdGymError, match="options of reset"):
        env.reset(options=["scenario"])
    _, infos = env.reset(seed=2**70)
    assert list(infos["seed"]) == [2**70, 2**70 + 1]
    for actions in ("ab", ["a"], [["a"], ["b"], ["c"]], None):
        with pytest.raises(TdGymError, match="one message for each of the 2"):
            env.step(actions)
    for mask in ([True, False], np.zeros(2, dtype=bool), np.ones(3, dtype=bool), np.ones(2)):
        with pytest.raises(TdGymError, match="reset_mask"):
            env.reset(options={"reset_mask": mask})
    with pytest.raises(TdGymError, match="3 seeds"):
        env.reset(seed=[1, 2, 3])  # type: ignore[arg-type]
    with pytest.raises(TdGymError, match="rows"):
        env.reset(options={"scenario": [1]})


def test_async_vectors_refuse_shared_memory_and_work_without(env_id: str) -> None:
    make = [lambda: gymnasium.make(env_id)] * 2
    with pytest.raises(ValueError, match="shared_memory=False") as caught:
        AsyncVectorEnv(make)
    advice = 'gymnasium.make_vec(id, num_envs=2, vectorization_mode="async", vector_kwargs={"shared_memory": False})'
    assert advice in str(caught.value.__cause__)
    eval(advice, {"gymnasium": gymnasium, "id": env_id}).close()
    parallel, plain = AsyncVectorEnv(make, shared_memory=False), SyncVectorEnv(make)
    try:
        assert data_equivalence(parallel.reset(seed=5), plain.reset(seed=5), exact=True)
        for text in ("What happened?", "Sorry \ud83d \U0001f600 <b>", "<think>", "Hello."):
            assert data_equivalence(parallel.step((text, text)), plain.step((text, text)), exact=True)
    finally:
        parallel.close()


def test_open_text() -> None:
    space = OpenText(5, seed=1)
    assert "a b\0é" in space
    assert "" in space
    assert "\ud800" in space
    assert "123456" not in space
    assert b"a" not in space
    assert 3 not in space
    drawn = [space.sample() for _ in range(50)]
    assert all(text in space for text in drawn)
    again = OpenText(5, seed=1)
    assert drawn == [again.sample() for _ in range(50)]
    assert copy.deepcopy(space) == space != OpenText(6)
    assert len({len(OpenText(9_000_000, seed=seed).sample()) for seed in range(5)}) == 5
    assert space.sample((3, None)) != space.sample((2, np.ones(len(space.characters), dtype=np.int8)))
    assert repr(space) == "OpenText(5)"


def test_names() -> None:
    space = Names(("open", "offer_voucher"), seed=1)
    assert {space.sample() for _ in range(50)} == {"open", "offer_voucher"}
    assert {space.sample(np.array([0, 1], dtype=np.int8)) for _ in range(20)} == {"offer_voucher"}
    assert "open" in space
    assert "opn" not in space
    assert 0 not in space
    assert copy.deepcopy(space) == space
    for other in (Names(("open",)), OpenText(space.max_length)):
        assert space != other
        assert other != space
    assert repr(space) == "Names(open, offer_voucher)"


@pytest.mark.parametrize("space", [OpenText(5), Names(("open",))], ids=repr)
def test_spaces_of_text_have_no_fixed_size(space: OpenText) -> None:
    assert not space.is_np_flattenable
    with pytest.raises(TypeError, match="unhashable"):
        hash(space)
    with pytest.raises(CustomSpaceError, match="shared_memory=False"):
        create_shared_memory(Dict({"text": space}), n=2)
