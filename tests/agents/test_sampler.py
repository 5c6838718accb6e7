"""The sampler draws what a plain loop over single rows would draw, whatever the schedule."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from agents.decoder import Decoder, check_decodes
from agents.sampler import Line, draw, sample, turn_uniforms
from td_gym.draws import mix
from td_gym.errors import TdGymError

END, PAD, VOCABULARY = 1, 0, 40
SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
}


KINDS = ("qwen2", "llama", "mistral", "gemma3")
"""The last two see no further back than 6 tokens, in all layers and in every other one."""
WINDOW = 6


def random_model(kind: str, attention: str = "sdpa") -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        if kind == "llama":
            model: Any = LlamaForCausalLM(LlamaConfig(**SHAPE, num_key_value_heads=4))
        elif kind == "mistral":
            model = MistralForCausalLM(MistralConfig(**SHAPE, num_key_value_heads=2, sliding_window=WINDOW))
        elif kind == "gemma3":
            layers = {"sliding_window": WINDOW, "layer_types": ["sliding_attention", "full_attention"]}
            model = Gemma3ForCausalLM(Gemma3TextConfig(**SHAPE, num_key_value_heads=2, head_dim=8, **layers))
        else:
            model = Qwen2ForCausalLM(Qwen2Config(**SHAPE, num_key_value_heads=2, tie_word_embeddings=True))
        for parameter in model.parameters():
            parameter.data *= 3  # sharper, so that a wrong cache shows
    model.set_attn_implementation(attention)
    return model.eval()


def opening(i: int) -> list[int]:
    return [2 + (7 * i + 3 * j) % (VOCABULARY - 2) for j in range(3 + i % 5)]


def heard(i: int, turn: int) -> list[int]:
    return [2 + (5 * i + 11 * turn + j) % (VOCABULARY - 2) for j in range(1 + (i + turn) % 6)]


def turns_of(i: int) -> int:
    return 1 + i % 4


def uniforms(i: int, turn: int) -> np.ndarray[Any, Any]:
    return turn_uniforms(mix(9, i, turn), 10)


def run(model: Any, rows: list[int], keep_cache: bool = True, temperature: float = 1.0) -> list[Line]:
    lines = []
    for i in rows:
        lines.append(Line())
        lines[-1].read(opening(i))
        lines[-1].begin(uniforms(i, 0))

    def answer(ended: list[int]) -> list[int]:
        going_on = [k for k in ended if lines[k].turn + 1 < turns_of(rows[k])]
        for k in going_on:
            lines[k].read(heard(rows[k], lines[k].turn))
            lines[k].begin(uniforms(rows[k], lines[k].turn + 1))
        return going_on

    sample(model, lines, answer, end_id=END, pad_id=PAD, temperature=temperature, keep_cache=keep_cache)
    return lines


@torch.no_grad()
def plain(model: Any, i: int) -> Line:
    """One row, no cache, the whole model on the whole history for every token."""
    line = Line()
    line.read(opening(i))
    for turn in range(turns_of(i)):
        line.begin(uniforms(i, turn))
        for u in uniforms(i, turn):
            logits = model(torch.tensor([line.tokens])).logits[:, -1]
            token, log_prob = draw(logits, torch.tensor([u]), 1.0)
            line.take(int(token), float(log_prob))
            if int(token) == END:
                break
        if turn + 1 < turns_of(i):
            line.read(heard(i, turn))
    return line


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("keep_cache", [True, False])
def test_same_tokens_and_log_probs_as_a_plain_loop(kind: str, keep_cache: bool) -> None:
    model = random_model(kind)
    for i, line in enumerate(run(model, list(range(24)), keep_cache)):
        expected = plain(model, i)
        assert line.tokens == expected.tokens
        assert line.turns == expected.turns
        np.testing.assert_allclose(line.log_probs, expected.log_probs, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_models_with_attention_in_every_layer_can_be_sampled_from(kind: str) -> None:
    check_decodes(random_model(kind))


@pytest.mark.parametrize("kind", ["bloom", "mamba"])
def test_models_that_keep_other_things_are_refused_in_one_line(kind: str) -> None:
    shape: dict[str, Any] = {"vocab_size": VOCABULARY, "hidden_size": 32}
    if kind == "bloom":
        model: Any = BloomForCausalLM(BloomConfig(**shape, n_layer=2, n_head=4))
    else:
        model = MambaForCausalLM(MambaConfig(**shape, num_hidden_layers=2, state_size=4))
    with pytest.raises(TdGymError, match=f"^A {kind} model keeps .*take one with attention in every layer"):
        check_decodes(model.eval())


@pytest.mark.parametrize("kind", ["qwen2", "llama"])
@pytest.mark.parametrize("groups", [3, 40])
def test_what_several_have_read_is_read_once(kind: str, groups: int) -> None:
    """Each line goes on as by itself, in the first turn and after others have dropped out."""
    model, copies, read = random_model(kind), 3, 0

    def begun() -> list[Line]:
        lines = []
        for i in range(groups):
            for copy in range(copies):
                lines.append(Line())
                lines[-1].read(opening(i))
                lines[-1].begin(uniforms(i, copy))
        return lines

    def answer_in(lines: list[Line]) -> Any:
        def answer(ended: list[int]) -> list[int]:
            going_on = [k for k in ended if lines[k].turn < k % copies]
            for k in going_on:
                lines[k].read(heard(k, lines[k].turn))
                lines[k].begin(uniforms(k, lines[k].turn + 1))
            return going_on

        return answer

    def count(module: Any, arguments: Any, given: dict[str, Any]) -> None:
        nonlocal read
        read += given["input_ids"].numel()

    shared, apart = begun(), begun()
    counter = model.register_forward_pre_hook(count, with_kwargs=True)
    sample(model, shared, answer_in(shared), end_id=END, pad_id=PAD, copies=copies)
    for_all, read = read, 0
    sample(model, apart, answer_in(apart), end_id=END, pad_id=PAD)
    counter.remove()
    assert for_all < read
    for one, other in zip(shared, apart, strict=True):
        assert one.tokens == other.tokens
        np.testing.assert_allclose(one.log_probs, other.log_probs, atol=1e-4)


@pytest.mark.parametrize("copies", [1, 2])
def test_a_line_let_go_of_is_taken_up_again(copies: int) -> None:
    """Calls of one turn each say what one call says, and read what is new alone."""
    model, rows, starts = random_model("qwen2"), [i for i in range(24) for _ in range(copies)], []
    read = Decoder.read

    def note(self: Decoder, rows: Any, chunks: Any, first: Any) -> Any:
        starts.extend(first)
        return read(self, rows, chunks, first)

    lines = [Line() for _ in rows]
    going_on = list(range(len(rows)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Decoder, "read", note)
        for turn in range(4):
            for k in going_on:
                lines[k].read(heard(rows[k], turn - 1) if turn else opening(rows[k]))
                lines[k].begin(uniforms(rows[k], turn))
            asked = [lines[k] for k in going_on]
            sample(model, asked, lambda ended: [], end_id=END, pad_id=PAD, copies=copies, save=True)
            assert all(start > 0 for start in starts) == bool(turn)
            starts.clear()
            going_on = [k for k in going_on if turn + 1 < turns_of(rows[k])]
    for i, line in zip(rows, lines, strict=True):
        assert line.tokens == plain(model, i).tokens
        assert line.past is not None


def test_works_with_eager_attention() -> None:
    assert [line.tokens for line in run(random_model("qwen2", "eager"), [0, 3, 7])] == [
        plain(random_model("qwen2"), i).tokens for i in (0, 3, 7)
    ]


def test_company_in_the_batch_does_not_matter() -> None:
    model = random_model("qwen2")
    together = run(model, list(range(12)))
    for i in (0, 5, 11):
        assert run(model, [i])[0].tokens == together[i].tokens


def test_a_line_that_is_read_anew_sees_nothing_of_before() -> None:
    model = random_model("qwen2")

    def read_anew(lines: list[Line], numbers: list[int]) -> list[int]:
        again = [k for k in numbers if lines[k].turn == 0]
        for k in again:
            lines[k].read_anew(opening(k + 7))
            lines[k].begin(uniforms(k, 1))
        return again

    twice, once = [Line() for _ in range(6)], [Line() for _ in range(6)]
    for k in range(6):
        twice[k].read(opening(k))
        twice[k].begin(uniforms(k, 0))
        once[k].read(opening(k + 7))
        once[k].begin(uniforms(k, 1))
    sample(model, twice, lambda ended: read_anew(twice, ended), end_id=END, pad_id=PAD)
    sample(model, once, lambda ended: [], end_id=END, pad_id=PAD)
    for both, alone in zip(twice, once, strict=True):
        _, origin = both.origins
        assert both.tokens[origin:] == alone.tokens
        np.testing.assert_allclose(both.log_probs[origin:], alone.log_probs, atol=1e-4)


def test_some_turns_end_by_themselves_and_some_are_cut() -> None:
    lines = run(random_model("qwen2"), list(range(24)))
    ends = [line.tokens[-1] == END for line in lines]
    assert any(ends)
    assert not all(ends)
    assert max(len(line.reply) for line in lines) == 10


def test_the_mode_of_the_model_is_left_as_it_was() -> None:
    model = random_model("qwen2").train()
    run(model, [0])
    assert model.training


def test_greedy_takes_the_likeliest_token() -> None:
    model = random_model("llama")
    line = run(model, [2], temperature=0.0)[0]
    with torch.no_grad():
        logits = model(torch.tensor([line.tokens])).logits[0]
    for position, turn in enumerate(line.turns):
        if turn >= 0:
            assert line.tokens[position] == int(logits[position - 1].argmax())


def test_draw_follows_the_softmax() -> None:
    logits = torch.tensor([[0.0, 1.0, -50.0, 2.0]]).expand(20_000, 4)
    tokens, log_probs = draw(logits, torch.from_numpy(turn_uniforms(5, 20_000)), 1.0)
    shares = torch.bincount(tokens, minlength=4) / 20_000
    torch.testing.assert_close(shares, logits[0].softmax(0), atol=0.015, rtol=0)
    torch.testing.assert_close(log_probs, logits.log_softmax(1)[torch.arange(20_000), tokens])


def test_draw_at_the_edges_never_takes_an_impossible_token() -> None:
    logits = torch.tensor([[-torch.inf, 0.0, 0.0, -torch.inf]] * 2)
    tokens, _ = draw(logits, torch.tensor([0.0, 1.0 - 2**-53], dtype=torch.float64), 1.0)
    assert tokens.tolist() == [1, 2]


def test_temperature_sharpens_the_draw_but_not_the_log_prob() -> None:
    logits = torch.tensor([[0.0, 1.0]]).expand(5_000, 2)
    tokens, log_probs = draw(logits, torch.from_numpy(turn_uniforms(1, 5_000)), 0.25)
    assert tokens.float().mean() > 0.95
    torch.testing.assert_close(log_probs, logits.log_softmax(1)[torch.arange(5_000), tokens])


def test_uniforms_are_uniform_and_keyed() -> None:
    values = turn_uniforms(7, 10_000)
    assert values.min() >= 0.0
    assert values.max() < 1.0
    assert abs(values.mean() - 0.5) < 0.01
    assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 0.03
    np.testing.assert_array_equal(values[:10], turn_uniforms(7, 10))
    assert not np.array_equal(values[:10], turn_uniforms(8, 10))


def test_a_cache_that_grows_keeps_what_it_holds() -> None:
    model = random_model("qwen2")
    tokens = [2 + j % 30 for j in range(300)]
    decoder = Decoder(model, 1, PAD)
    with torch.inference_mode():
        decoder.read([0], [tokens[:100]], [0])
        decoder.read([0], [tokens[100:270]], [100])
        logits = decoder.read([0], [tokens[270:]], [270])
        torch.testing.assert_close(logits, model(torch.tensor([tokens])).logits[:, -1], atol=1e-4, rtol=0)


def test_a_dialogue_beyond_the_context_is_refused() -> None:
    with pytest.raises(TdGymError, match="512 tokens that the model can read"):
        Decoder(random_model("qwen2"), 1, PAD).read([0], [[2] * 513], [0])


def test_no_lines_is_no_work() -> None:
    sample(None, [], lambda ended: [], end_id=END, pad_id=PAD)
