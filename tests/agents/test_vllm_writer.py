"""Messages that vLLM writes: with the weights of now, scored as they are trained on.

Where vLLM is installed (``make test-vllm``) its own engine writes; elsewhere a stand-in with the part of its interface
that is used.
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agents import lora
from agents.learner import Learner
from agents.losses import forward_log_probs
from agents.methods import build_method
from agents.reference import holding
from agents.rollout import rollout
from agents.sampler import Line, turn_uniforms
from agents.token_policy import TokenPolicy
from agents.trainer import TrainConfig, train
from agents.trajectories import Trajectories
from agents.vllm_writer import VLLMWriter
from evals.cli import main
from td_gym.envs.batch import ConversationBatch
from td_gym.errors import TdGymError
from td_gym.registration import make_scenario
from tests.agents import fake_vllm
from tests.agents.checkpoints import KINDS, write_checkpoint
from tests.agents.toy import toy_config

ENV = "td_gym/FoodDispute-v0"
SCENARIO = make_scenario(ENV)
INSTALLED = find_spec("vllm") is not None
HIDDEN = 128 if INSTALLED else 32
"""vLLM's attention takes no narrower heads than this has."""


@pytest.fixture(scope="module", autouse=True)
def engine() -> Any:
    if INSTALLED:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        for name in ("vllm", "vllm.exceptions", "vllm.sampling_params"):
            patch.setitem(sys.modules, name, fake_vllm)
        yield


@pytest.fixture(scope="module", params=KINDS)
def written_for(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, VLLMWriter]]:
    """A checkpoint, and what writes for policies with its architecture."""
    folder = write_checkpoint(request.param, tmp_path_factory.mktemp(request.param), HIDDEN)
    with closing(VLLMWriter(TokenPolicy.load(folder, scenario=SCENARIO), 0.3)) as writer:
        yield folder, writer


@pytest.fixture(scope="module")
def planned() -> Iterator[TokenPolicy]:
    policy = TokenPolicy.load("tiny-planned", scenario=SCENARIO)
    with closing(VLLMWriter(policy, 0.3)) as policy.writer:
        policy.writer.load(policy.model)
        yield policy


def loaded(written_for: tuple[Path, VLLMWriter]) -> TokenPolicy:
    folder, writer = written_for
    policy = TokenPolicy.load(folder, scenario=SCENARIO)
    policy.writer = writer
    return policy


def stir(model: Any, by: float = 0.1) -> None:
    """Let what is trained of ``model`` be something else."""
    with torch.no_grad():
        for number, weights in enumerate(p for p in model.parameters() if p.requires_grad):
            weights.add_(torch.randn(weights.shape, generator=torch.Generator().manual_seed(number)), alpha=by)


@contextmanager
def stirred(model: Any, by: float) -> Iterator[None]:
    """Let ``model`` be another one while the block runs."""
    other = copy.deepcopy(model)
    stir(other, by)
    with holding(list(model.parameters()), [p.data for p in other.parameters()]):
        yield


def spoken(policy: TokenPolicy, count: int = 4, longest: int = 6) -> list[Line]:
    """Lines in which the policy writes twice."""
    lines = [Line() for _ in range(count)]
    for number, line in enumerate(lines):
        line.read(policy.render_opening([{"role": "user", "content": "hello"}]))
        line.begin(turn_uniforms(number, longest))

    def answer(ended: list[int]) -> list[int]:
        going_on = [i for i in ended if lines[i].turn == 0]
        for i in going_on:
            closed = lines[i].reply[-1] == policy.end_id
            lines[i].read(policy.render_reply([{"role": "user", "content": "and?"}], ended=closed))
            lines[i].begin(turn_uniforms(100 + i, longest))
        return going_on

    policy.write(lines, answer)
    return lines


def held(policy: TokenPolicy, dialogues: int = 3, longest: int = 8) -> Trajectories:
    batch = ConversationBatch(SCENARIO, "service", dialogues, {"customer": SCENARIO.customer("scripted")})
    seeds = list(range(dialogues))
    policy.max_new_tokens = longest
    return rollout(policy, batch, seeds, seeds, generator=np.random.default_rng(0))


def gap(policy: TokenPolicy, found: Trajectories) -> float:
    """How far off the log-probabilities in ``found`` are those of the policy's model; its own stand there then."""
    learner = Learner(policy.model, None, build_method("grpo"), toy_config(Path("unused")))
    scored, before = learner.rescored(found)
    assert learner.rescored(scored)[1] == 0.0
    return before


@pytest.mark.parametrize("rank", [0, 4])
def test_the_engine_has_the_weights_of_now(written_for: tuple[Path, VLLMWriter], rank: int) -> None:
    policy = loaded(written_for)
    if rank:
        policy.model = lora.adapted(policy.model, rank, seed=0)
    for _ in range(2):
        stir(policy.model)
        written_for[1].load(policy.model)
        for line in spoken(policy):
            tokens, mask = torch.tensor([line.tokens]), torch.tensor([line.turns]) >= 0
            with torch.no_grad():
                expected = forward_log_probs(policy.model, tokens, mask).log_probs
            torch.testing.assert_close(torch.tensor([line.log_probs]), expected * mask, atol=1e-4, rtol=0.0)


def test_an_adapter_is_merged_into_the_weights_that_it_belongs_to(tmp_path: Path) -> None:
    folder = write_checkpoint("qwen2", tmp_path)
    plain, adapted = (TokenPolicy.load(folder, scenario=SCENARIO).model for _ in range(2))
    names = list(plain.state_dict())
    adapted = lora.adapted(adapted, 4, seed=0)
    stir(adapted)
    merged = dict(lora.merged(adapted))
    assert list(merged) == names
    tokens = torch.tensor([[1, 2, 3, 4]])
    expected = adapted(tokens).logits
    assert not torch.allclose(plain(tokens).logits, expected, atol=1e-3)
    plain.load_state_dict(merged)
    torch.testing.assert_close(plain(tokens).logits, expected)


def test_a_message_ends_as_ours_do(written_for: tuple[Path, VLLMWriter]) -> None:
    policy = loaded(written_for)
    with torch.no_grad():  # so that every token, the end among them, is about as likely
        for weights in policy.model.parameters():
            weights *= 0.1
    written_for[1].load(policy.model)
    longest = 120  # of 16 messages, about a fifth are at their end before
    lines = spoken(policy, count=8, longest=longest)
    for line in lines:
        written = [[t for t, turn in zip(line.tokens, line.turns, strict=True) if turn == k] for k in (0, 1)]
        for message in written:
            assert policy.end_id not in message[:-1]
            assert message[-1] == policy.end_id or len(message) == longest
    assert any(line.reply[-1] == policy.end_id for line in lines)
    assert lines[0].reply != lines[1].reply


def test_equal_seeds_are_drawn_alike(planned: TokenPolicy) -> None:
    first, second = held(planned), held(planned)
    np.testing.assert_array_equal(first.tokens, second.tokens)


def test_plans_are_choices_that_the_procedure_allows(planned: TokenPolicy) -> None:
    found = held(planned, longest=24)
    assert gap(planned, found) < 1e-4
    drawn = found.allowed >= 0
    assert drawn.any()
    assert found.allowed_sets[found.allowed[drawn], found.tokens[drawn]].all()
    assert found.costs[:, found.cost_names.index("sop_breaches")].max() == 0


def test_what_was_read_with_earlier_weights_is_forgotten(planned: TokenPolicy) -> None:
    """Dialogues are longer than the blocks that an engine keeps."""
    assert isinstance(planned.writer, VLLMWriter)
    held(planned, longest=24)
    with stirred(planned.model, 0.02):
        planned.writer.load(planned.model)
        assert gap(planned, held(planned, longest=24)) < 1e-4
    planned.writer.load(planned.model)


def test_a_dialogue_that_the_engine_does_not_take_is_named(planned: TokenPolicy) -> None:
    line = Line()
    line.read([5] * planned.context)
    line.begin(turn_uniforms(0, 4))
    other = Line()
    other.read([5, 6, 7])
    other.begin(turn_uniforms(1, 4))
    with pytest.raises(TdGymError, match=r"does not take a dialogue of .* \(--max-context\)"):
        planned.write([other, line], lambda ended: [])
    assert held(planned).turns.min() >= 1  # nothing is left of the other


def test_what_is_under_way_is_given_up_when_an_answer_fails(planned: TokenPolicy) -> None:
    def fails(ended: list[int]) -> list[int]:
        raise TdGymError("The server is away.")

    lines = [Line() for _ in range(3)]
    for number, line in enumerate(lines):
        line.read(planned.render_opening([{"role": "user", "content": "hello"}]))
        line.begin(turn_uniforms(number, 4 * (number + 1)))
    with pytest.raises(TdGymError, match="away"):
        planned.write(lines, fails)
    assert held(planned).turns.min() >= 1


def updates(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def few(out: Path, **changes: Any) -> TrainConfig:
    settings: dict[str, Any] = {"method": "grpo", "customers": 1, "copies": 3, "steps": 1}
    return TrainConfig(env=ENV, out=out, sampler="vllm", **{**settings, **changes})


@pytest.mark.parametrize("rank", [0, 4])
def test_a_run_is_trained_on_what_it_wrote(tmp_path: Path, rank: int) -> None:
    train(few(tmp_path / "run", lora_rank=rank))
    train(few(tmp_path / "run", lora_rank=rank, steps=2, resume=True))
    rows = updates(tmp_path / "run")
    assert [row["update"] for row in rows] == [1, 2]
    assert all(row["sampler/gap"] < 1e-4 for row in rows)
    assert rows[0]["losses/grad_norm"] > 0.0


def test_an_engine_with_other_weights_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def loads_others(writer: VLLMWriter, model: Any) -> None:
        with stirred(model, 0.3):
            load(writer, model)

    load = VLLMWriter.load
    monkeypatch.setattr(VLLMWriter, "load", loads_others)
    with pytest.raises(TdGymError, match=r"nats off .* leave --sampler"):
        train(few(tmp_path))


@pytest.mark.parametrize("method", ["more", "gopo", "ppo"])
def test_whatever_a_method_learns_from_is_written(tmp_path: Path, method: str) -> None:
    train(few(tmp_path, method=method, copies=2))
    assert all(row["sampler/gap"] < 1e-4 for row in updates(tmp_path))


def test_a_dialogue_that_is_read_anew_is_scored_in_its_parts(tmp_path: Path) -> None:
    policy = TokenPolicy.load("tiny", scenario=SCENARIO)
    policy.max_context = 150
    with closing(VLLMWriter(policy, 0.3)) as policy.writer:
        policy.writer.load(policy.model)
        found = held(policy, longest=40)
        assert found.parts is not None
        assert found.parts.max() > 0
        assert gap(policy, found) < 1e-4


def test_by_command(tmp_path: Path) -> None:
    sizes = ["--steps", "1", "--customers", "2", "--copies", "2", "--sampler", "vllm", "--vllm-memory", "0.2"]
    assert main(["train", "cmpo", "--env", ENV, "--out", str(tmp_path / "run"), *sizes]) == 0
    (row,) = updates(tmp_path / "run")
    assert row["sampler/gap"] < 1e-4
    settings = json.loads((tmp_path / "run" / "config.json").read_text())["settings"]
    assert (settings["sampler"], settings["vllm_memory"]) == ("vllm", 0.2)


@pytest.mark.parametrize(
    ("method", "more", "said"),
    [
        ("grpo", ["--sampler", "vlm"], "Unknown sampler 'vlm'. Did you mean 'vllm'?"),
        ("grpo", ["--sampler", "vllm", "--nproc", "2"], "take --nproc 1"),
        ("grpo", ["--sampler", "vllm", "--vllm-memory", "1.5"], "vllm_memory must be between 0 and 1"),
        ("sft", ["--sampler", "vllm"], "sft learns from scripted dialogues"),
        ("memory", ["--sampler", "vllm"], "sampler"),
    ],
)
def test_bad_input_is_one_line(
    method: str, more: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", method, "--env", ENV, "--out", str(tmp_path / "run"), *more]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run" / "config.json").exists()


def test_without_vllm_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    assert main(["train", "grpo", "--env", ENV, "--out", str(tmp_path / "run"), "--sampler", "vllm"]) == 2
    assert 'pip install "td-gym[vllm]"' in capsys.readouterr().err
    policy = TokenPolicy.load("tiny", scenario=SCENARIO)
    with pytest.raises(TdGymError, match="vllm"):
        VLLMWriter(policy, 0.3)


def test_a_model_that_vllm_cannot_run_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(arguments: Any) -> Any:
        raise ValueError("Model architectures ['X'] are not supported\nfor now.")

    import vllm

    monkeypatch.setattr(vllm.LLMEngine, "from_engine_args", refuses)
    with pytest.raises(TdGymError, match=r"vLLM cannot run this model as asked: .* not supported for now\."):
        VLLMWriter(TokenPolicy.load("tiny", scenario=SCENARIO), 0.3)
