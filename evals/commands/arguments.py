"""Argument types and the parser that every subcommand shares."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from td_gym.errors import TdGymError, unknown
from td_gym.llm.models import Models
from td_gym.llm.settings import Settings
from td_gym.llm.tape import Tape


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are one line, raised as ``TdGymError``."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", HelpFormatter)
        super().__init__(allow_abbrev=False, **options)

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Parse as ever, but refuse an empty word, which would pass for an option that was not given."""
        words = sys.argv[1:] if args is None else list(args)
        for before, word in zip((self.prog, *words), words, strict=False):
            if not word or (word.startswith("--") and word.endswith("=")):
                self.error(f"nothing is given behind {word.rstrip('=') or before} (an unset variable?)")
        return super().parse_known_args(words, namespace)

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage, so that bad input gets one line."""
        raise TdGymError(f"{message[:1].upper()}{message[1:]}; see `{self.prog} --help`.")


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the layout of examples and states the default of every option that has one."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=100)

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        unsaid = action.default is None or action.default is False or action.default in ("", argparse.SUPPRESS, [])
        shown = bool(action.option_strings) and not unsaid
        return f"{text} (default: %(default)s)" if shown and "default" not in text else text


def add_env(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Add ``--env``, the environment."""
    parser.add_argument(
        "--env", required=required, metavar="ID", help="environment, see td-gym envs; module:ID for one of your own"
    )


def add_temperature(parser: argparse.ArgumentParser) -> None:
    """Add ``--temperature``, of agents that sample."""
    parser.add_argument(
        "--temperature",
        type=non_negative_float,
        default=1.0,
        metavar="T",
        help="sampling temperature of language-model agents, 0 is greedy",
    )


def add_device(parser: argparse.ArgumentParser, default: str | None = "cpu") -> None:
    """Add ``--device``, of language models."""
    parser.add_argument("--device", default=default, metavar="NAME", help="device of language models, cpu or cuda")


def add_servers(parser: argparse.ArgumentParser) -> None:
    """Add how language models on servers are asked, and recorded."""
    servers = parser.add_argument_group("models on servers (llm:MODEL@URL)")
    tape = servers.add_mutually_exclusive_group()
    tape.add_argument(
        "--record", type=Path, metavar="FILE", help="record what they answer; goes on with a recording broken off"
    )
    tape.add_argument("--replay", type=Path, metavar="FILE", help="take their answers from a recording, ask no server")
    servers.add_argument("--concurrency", type=positive_int, metavar="N", help="requests at once (default: 64)")
    servers.add_argument("--timeout", type=positive_float, metavar="S", help="seconds for an answer (default: 60)")
    servers.add_argument("--attempts", type=positive_int, metavar="N", help="attempts at an answer (default: 8)")
    servers.add_argument("--max-tokens", type=positive_int, metavar="N", help="tokens of a reply (default: 512)")
    servers.add_argument("--token-budget", type=positive_int, metavar="N", help="stop when N tokens are spent")


def check_recording(record: Path | None, out: Path, written: Collection[str]) -> None:
    """Raise ``TdGymError`` for a recording that one of the files ``written`` into ``out`` would be written over."""
    if record is not None and record.resolve() in ((out / name).resolve() for name in written):
        raise TdGymError(f"--record {str(record)!r} is a file that results are written to; take another.")


def asked_of(models: Models) -> dict[str, Any]:
    """Return what provenance says of the servers that were asked, nothing where none was."""
    return {"models": usage} if (usage := models.usage()) else {}


def servers(args: argparse.Namespace) -> Models:
    """Return the servers that the arguments of ``add_servers`` state.

    Raises ``TdGymError`` where they state something, and nothing in ``args`` can be a model on a server.
    """
    names = ("concurrency", "timeout", "attempts", "max_tokens", "token_budget")
    stated = {name: value for name in names if (value := getattr(args, name)) is not None}
    for_nobody = [*stated, *(name for name in ("record", "replay") if getattr(args, name) is not None)]
    if for_nobody and not any(":" in spec for spec in _specs(args)):
        raise TdGymError(
            f"--{for_nobody[0].replace('_', '-')} is for models on servers (llm:MODEL@URL, openai:MODEL@URL), and none "
            "is named; leave it out."
        )
    settings = Settings(**stated)
    tape = Tape.replay(args.replay) if args.replay else Tape.record(args.record) if args.record else None
    return Models(settings, tape)


def _specs(args: argparse.Namespace) -> Iterator[str]:
    """Yield the agents, customers and judges that are named; a factory, which may ask a server, has a colon too."""
    for name in ("agent", "customer", "judge"):
        named = getattr(args, name, None) or []
        yield from [named] if isinstance(named, str) else named


def add_learning(parser: argparse.ArgumentParser) -> None:
    """Add how long an agent learns, how fast, and in which conversations."""
    parser.add_argument("--steps", type=positive_int, default=40, metavar="N", help="policy updates of a run")
    parser.add_argument("--seed", type=non_negative_int, default=0, metavar="S", help="seed of customers and sampling")
    parser.add_argument(
        "--lr", type=positive_float, metavar="RATE", help="learning rate (default: the trainer's, 3e-4)"
    )
    parser.add_argument(
        "--customers", type=positive_int, metavar="N", help="customers per update (default: the trainer's, 32)"
    )
    parser.add_argument(
        "--copies", type=positive_int, metavar="N", help="dialogues with each customer (default: the trainer's, 4)"
    )
    parser.add_argument("--population", metavar="NAME", help="population of personas (default: the environment's)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="published data of MultiWOZ, see td-gym data")
    parser.add_argument("--split", default="train", metavar="NAME", help="train or validation customers")
    add_device(parser)


def learning(args: argparse.Namespace) -> dict[str, Any]:
    """Return the fields of a training configuration that the arguments of ``add_learning`` state."""
    names = ("steps", "seed", "lr", "customers", "copies", "population", "data", "split", "device")
    return {name: value for name in names if (value := getattr(args, name)) is not None}


def conversations(args: argparse.Namespace) -> dict[str, Any]:
    """Return the fields of a ``Setting`` that arguments of these names state."""
    names = ("env", "episodes", "seed", "split", "customer", "population", "device")
    return {name: value for name in names if (value := getattr(args, name)) is not None}


def positive_int(text: str) -> int:
    """Parse an integer of at least 1."""
    return _integer(text, 1)


def non_negative_int(text: str) -> int:
    """Parse an integer of at least 0."""
    return _integer(text, 0)


def _integer(text: str, low: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = low - 1
    if value < low:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {low}")
    return value


def non_negative_float(text: str) -> float:
    """Parse a finite number of at least 0."""
    return _number(text, 0.0, inclusive=True)


def positive_float(text: str) -> float:
    """Parse a finite number above 0."""
    return _number(text, 0.0, inclusive=False)


def _number(text: str, low: float, *, inclusive: bool) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < low or (value == low and not inclusive):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number {'of at least' if inclusive else 'above'} {low:g}")
    return value


def budget(text: str) -> tuple[str, float]:
    """Parse ``NAME=LIMIT``, a limit on the mean of a budgeted cost per dialogue."""
    name, equals, limit = text.partition("=")
    if not equals or not name.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=LIMIT, for example voucher=0.30")
    return name.strip(), non_negative_float(limit)


def refuse(args: argparse.Namespace, names: Sequence[str]) -> None:
    """Raise ``TdGymError`` where the arguments of ``td-gym train`` state one of ``names``, unknown to their method."""
    for name in names:
        if getattr(args, name) != args.default_of(name):
            raise TdGymError(f"{args.method} takes no --{name.replace('_', '-')}; leave it out.")


def check_split(split: str) -> None:
    """Raise ``TdGymError`` unless agents may train on the customers of ``split``."""
    if split not in ("train", "validation"):
        raise unknown("split for training", split, ("train", "validation"))


def next_evaluation(env: str, run: Path, args: argparse.Namespace) -> str:
    """Return the line that a finished training ends with: how to evaluate ``run`` on the customers of ``args``."""
    same = [f"--{name} {value}" for name in ("population", "data") if (value := getattr(args, name)) is not None]
    words = ["td-gym evaluate --env", env, "--agent", str(run), *same, "--out", f"{run}/evaluation"]
    return f"trained; next: {' '.join(words)}"
