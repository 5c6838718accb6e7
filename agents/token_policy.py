"""``TokenPolicy``: a causal language model, its tokenizer, and how a conversation becomes tokens.

A conversation is rendered by increments: the opening once, then what each new message adds.  Both
come from the tokenizer's own chat template by difference, so any Hugging Face causal LM with a
chat template works, and nothing that was sampled is ever tokenised again.
"""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

import torch

from agents import lora
from agents.decoder import check_decodes
from agents.model_files import DTYPES, lasting, load_model, locate, no_progress_bars
from agents.names import ADAPTER, PLANNED, TINY
from agents.plans import Planning
from agents.sampler import Answer, Line, sample
from td_gym.errors import TdGymError, as_count, unknown
from td_gym.json_data import as_object, as_text, read_json
from td_gym.protocol import PROTOCOL_VERSION
from td_gym.scenario import Scenario
from td_gym.slots import fill_slots

Message = Mapping[str, str]
Writer = Callable[["TokenPolicy", Sequence[Line], Answer, float], None]
"""Writes for a policy: lines, who answers them, and the temperature."""
VERSIONS = "td_gym.json"
_REPLY = "@@reply@@"
_ENDLESS = 1 << 30


class TokenPolicy:
    """A model that reads and writes a conversation as tokens.

    ``scenario`` fills the service seat's slots; without one they stay as written.  ``max_new_tokens`` is
    the longest reply the model was made for, a default for whoever samples from it.  ``seat`` is the one
    that it plays.  ``planning`` says how it plans, ``None`` that it does not.  ``base`` names what it was loaded
    from, or, where that is an adapter, the model that it belongs to.  ``max_context`` is how many tokens of a
    conversation it may read, reply included, ``None`` for as many as the model can; of a longer one it reads the
    briefing and the latest exchanges.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        scenario: Scenario | None = None,
        max_new_tokens: int = 64,
        versions: Mapping[str, Any] | None = None,
        seat: str = "service",
        base: str = "",
        max_context: int | None = None,
    ) -> None:
        if not getattr(tokenizer, "chat_template", None):
            raise TdGymError("This model's tokenizer has no chat template; take an instruction-tuned model.")
        self.model = model
        self.tokenizer = tokenizer
        self.scenario = scenario
        self.seat = seat
        self.base = base
        self.max_context = max_context
        self.max_new_tokens = max_new_tokens
        self.versions = dict(versions or {})
        self.planning = Planning.from_json(self.versions.pop("planning")) if "planning" in self.versions else None
        self.writer: Writer | None = None
        """Samples in the place of the model, see ``write``."""
        added = (token.content for token in tokenizer.added_tokens_decoder.values() if token.special)
        self._markers = tuple(dict.fromkeys((*tokenizer.all_special_tokens, *added)))
        self._has_system_role = self._probe_system_role()
        self.end_id = self._probe_end()
        self.pad_id: int = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else self.end_id

    @classmethod
    def load(
        cls,
        path: str | Path,
        device: str = "cpu",
        *,
        scenario: Scenario | None = None,
        dtype: torch.dtype | None = None,
        plans: bool = False,
        seat: str = "service",
    ) -> TokenPolicy:
        """Load ``tiny`` (the weights shipped for ``scenario``), a model or run directory, or a hub id.

        ``tiny-planned``, and ``tiny`` with ``plans``, are the shipped weights that have learnt to plan.
        ``dtype`` is what the weights are held in: by default float32, and beside an adapter what it was
        trained with.  Nothing is downloaded: a hub id must lie in the local Hugging Face cache.  Raises ``TdGymError``
        when there is no such model, a file of it is broken, or its protocol, scenario or seat is another
        one; warns when its scenario's version or wording is.
        """
        name = PLANNED if plans and path == TINY else path
        source = locate(name, scenario)
        file = source / VERSIONS
        versions = as_object(read_json(file), repr(str(file))) if file.is_file() else {}
        base = lora.base_of(source) if (source / ADAPTER).is_file() else ""
        held_in = versions.pop("dtype", DTYPES[0])
        if held_in not in DTYPES:
            raise unknown("dtype", str(held_in), DTYPES)
        weights = locate(base, scenario) if base else source
        _check_kinds(versions, repr(str(file)))
        model, tokenizer = load_model(weights, source, dtype or getattr(torch, held_in))
        model.to(device).eval()
        check_decodes(model)
        policy = cls(
            model,
            tokenizer,
            scenario=scenario,
            max_new_tokens=versions.get("max_new_tokens", 64 if versions else 256),
            seat=versions.pop("seat", "service") if versions else seat,
            base=base or lasting(name),
            max_context=versions.pop("max_context", None),
            versions=versions,
        )
        policy.check_seat(seat)
        if scenario is not None:
            policy.check_compatible(scenario)
        return policy

    def save(self, path: str | Path, *, half: bool = False) -> None:
        """Write model (safetensors, float16 if ``half``), tokenizer and version file into ``path``.

        Of a model with an adapter that alone is written, with the name of the model that it belongs to.
        """
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        if lora.is_adapted(self.model):
            lora.save(self.model, folder, self.base)
        else:
            with no_progress_bars():
                (copy.deepcopy(self.model).to(torch.float16) if half else self.model).save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        self.save_versions(folder)

    def save_versions(self, folder: Path) -> None:
        """Write the version file beside weights that lie in ``folder``."""
        versions = {**self.versions, "max_new_tokens": self.max_new_tokens, "seat": self.seat}
        if lora.is_adapted(self.model):
            versions["dtype"] = str(next(self.model.parameters()).dtype).removeprefix("torch.")
        if self.max_context is not None:
            versions["max_context"] = self.max_context
        if self.planning is not None:
            versions["planning"] = asdict(self.planning)
        (folder / VERSIONS).write_text(json.dumps(versions, indent=2, sort_keys=True) + "\n")

    def check_seat(self, seat: str) -> None:
        """Refuse weights that have learnt to play another seat."""
        if self.seat != seat:
            raise TdGymError(
                f"These weights play the {self.seat} and cannot play the {seat}; take weights of the {seat} seat."
            )

    def check_compatible(self, scenario: Scenario) -> None:
        """Refuse weights of another protocol or scenario; warn about another version or wording of the same one."""
        written = self.versions.get("protocol", PROTOCOL_VERSION)
        if written != PROTOCOL_VERSION:
            raise TdGymError(
                f"This model was trained under protocol version {written}, this is version {PROTOCOL_VERSION}; "
                "train it again."
            )
        trained_on = self.versions.get("scenario", scenario.name)
        if trained_on != scenario.name:
            raise TdGymError(
                f"These weights are of {trained_on}; slots and tools of {scenario.name} are not theirs. "
                f"Take weights of {scenario.name}, or an environment of {trained_on}."
            )
        current = {"version": scenario.version, "wording": scenario.wording_version}
        changed = [name for name, value in current.items() if self.versions.get(name, value) != value]
        if changed:
            then = ", ".join(f"{name} {self.versions[name]}" for name in changed)
            now = ", ".join(f"{name} {current[name]}" for name in changed)
            warnings.warn(f"This model was trained on {scenario.name} {then}; here it is {now}.", stacklevel=2)

    @property
    def device(self) -> torch.device:
        """Where the model's weights are."""
        device: torch.device = next(self.model.parameters()).device
        return device

    @property
    def size(self) -> int:
        """Bytes that the model's weights take."""
        return sum(weights.numel() * weights.element_size() for weights in self.model.parameters())

    @property
    def context(self) -> int:
        """Tokens of a conversation that the policy can read at once, its reply included."""
        limit: int = getattr(self.model.config, "max_position_embeddings", None) or _ENDLESS
        return min(limit, self.max_context or _ENDLESS)

    def write(
        self,
        lines: Sequence[Line],
        answer: Answer,
        *,
        temperature: float = 1.0,
        keep_cache: bool = True,
        copies: int = 1,
        save: bool = False,
    ) -> None:
        """Sample turns in ``lines`` until ``answer`` continues none of them, see ``agents.sampler.sample``.

        Where the policy has a ``writer``, that does it; its draws are its own, and how it keeps what it has read.
        """
        if self.writer is not None:
            self.writer(self, lines, answer, temperature)
            return
        sample(
            self.model,
            lines,
            answer,
            end_id=self.end_id,
            pad_id=self.pad_id,
            temperature=temperature,
            keep_cache=keep_cache,
            copies=copies,
            save=save,
        )

    # Text to tokens.

    def render_opening(self, messages: Sequence[Message]) -> list[int]:
        """Return the tokens of everything before the first reply, assistant header included."""
        return self._encode(self._template(messages, header=True))

    def render_reply(self, messages: Sequence[Message], *, ended: bool = True) -> list[int]:
        """Return the tokens that follow a sampled reply: ``messages`` of the others and the header.

        ``ended`` says that the reply closed with the end-of-turn token, which is then not repeated.
        """
        tokens = self._encode(self._after_reply(messages))
        if ended and self.end_id in tokens:
            return tokens[tokens.index(self.end_id) + 1 :]
        return tokens

    def render_history(self, messages: Sequence[Message]) -> list[int]:
        """Return the tokens of a conversation that this policy did not itself hold so far."""
        replies = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
        bounds = [*replies, len(messages)]
        tokens = self.render_opening(messages[: bounds[0]])
        for here, following in pairwise(bounds):
            tokens += self.encode_reply(messages[here]["content"])
            tokens += self.render_reply(messages[here + 1 : following])
        return tokens

    def render_fitting(self, messages: Sequence[Message], room: int) -> list[int]:
        """Return the tokens of a conversation, of one that ``room`` does not hold those of ``render_recent``."""
        tokens = self.render_history(messages)
        return tokens if len(tokens) <= room else self.render_recent(messages, room)

    def render_recent(self, messages: Sequence[Message], room: int) -> list[int]:
        """Return the tokens of the briefing and of the latest exchanges: as many as half of ``room`` holds, or one.

        Half, so that the rest is there for what follows.  Raises ``TdGymError`` where ``room`` does not hold one.
        """
        briefing = [*takewhile(lambda message: message["role"] == "system", messages)]
        roles = [message["role"] for message in messages]
        asked = [i for i in range(1, len(roles)) if roles[i - 1] == "assistant" != roles[i]]
        found: list[int] = []
        for start in reversed(asked):
            tokens = self.render_history([*briefing, *messages[start:]])
            if len(tokens) > (room // 2 if found else room):
                break
            found = tokens
        if not found:
            raise TdGymError(
                f"The briefing and the last message do not fit into the {self.context} tokens that the model reads, "
                "with its reply; let it read more (max_context), or take one that does."
            )
        return found

    def encode_reply(self, text: str) -> list[int]:
        """Return the tokens of a reply to learn from, end-of-turn token included."""
        return [*self._encode(text), self.end_id]

    # Tokens to text.

    def decode_reply(self, tokens: Sequence[int]) -> str:
        """Return a sampled reply as text, without chat markers."""
        text: str = self.tokenizer.decode(list(tokens), skip_special_tokens=True)
        return text.strip()

    def fill(self, text: str, messages: Sequence[Message]) -> str:
        """Replace every ``[slot]`` the scenario knows by its value, given what was read; the customer has no slots."""
        if self.scenario is None or self.seat != "service":
            return text
        return fill_slots(text, messages, self.scenario.slot_values)

    # The template.

    def _encode(self, text: str) -> list[int]:
        tokens: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return tokens

    def _template(self, messages: Sequence[Message], *, header: bool) -> str:
        merged = _merge([self._harmless(message) for message in messages], system_role=self._has_system_role)
        text: str = self.tokenizer.apply_chat_template(merged, tokenize=False, add_generation_prompt=header)
        return text

    def _after_reply(self, messages: Sequence[Message]) -> str:
        past = [{"role": "user", "content": "."}, {"role": "assistant", "content": _REPLY}]
        return self._template([*past, *messages], header=True).split(_REPLY, 1)[1]

    def _harmless(self, message: Message) -> dict[str, str]:
        """Keep what people write from being read as chat markers."""
        content = message["content"]
        for marker in self._markers:
            if marker in content:
                content = content.replace(marker, f"{marker[0]} {marker[1:]}")
        return {"role": message["role"], "content": content}

    def _probe_system_role(self) -> bool:
        user = {"role": "user", "content": "."}
        try:
            rendered = self.tokenizer.apply_chat_template(
                [{"role": "system", "content": _REPLY}, user], tokenize=False, add_generation_prompt=True
            )
        except Exception:  # a template refuses a role in its own words, as whatever jinja raises
            return False
        return _REPLY in rendered

    def _probe_end(self) -> int:
        special = {*self.tokenizer.all_special_ids, *self.tokenizer.added_tokens_decoder}
        following = self._encode(self._after_reply([{"role": "user", "content": "."}]))
        end = next((token for token in following if token in special), self.tokenizer.eos_token_id)
        if end is None:
            raise TdGymError("This model's chat template has no end-of-turn token; take another model.")
        return int(end)


def _check_kinds(versions: Mapping[str, Any], where: str) -> None:
    """Raise ``TdGymError`` naming the first entry of a model's versions file that is of another kind than was saved."""
    for name in ("max_new_tokens", "max_context"):
        if name in versions:
            as_count(f"{where}: {name}", versions[name])
    for name in ("seat", "protocol", "scenario", "version", "wording"):
        as_text(versions.get(name, ""), f"{where}: {name}")


def _merge(messages: Sequence[dict[str, str]], *, system_role: bool) -> list[dict[str, str]]:
    """Join neighbours of one role; without a system role, put it at the head of the first user message."""
    merged: list[dict[str, str]] = []
    for message in messages:
        role = message["role"] if system_role or message["role"] != "system" else "user"
        if merged and merged[-1]["role"] == role:
            merged[-1]["content"] += "\n" + message["content"]
        else:
            merged.append({"role": role, "content": message["content"]})
    return merged
