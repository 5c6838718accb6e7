"""``python -m tests.llm.load``: dialogues with a customer on a faulty server, against the time they must take.

The server is a process of its own.  A fifth of its answers are at fault, drawn by the request's seed.  What all of them
must take at least is summed from its log: what it let the client wait for, and the shortest waits before another
attempt; divided by the requests that may be under way at once.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from evals.dialogue import as_jsonl
from evals.runner import Setting, evaluate, make_agents
from td_gym.draws import choice, uniform
from td_gym.llm import Models, Settings, Tape
from tests.llm.server import FAULTS, Answer, complains, serving

ENV = "td_gym/FoodDispute-v0"
RETRY_AFTER = 1.0


def behave(latency: float, payload: dict[str, Any], number: int) -> Answer:
    """Answer as a customer, a fifth of the time with a fault."""
    seed = payload["seed"]
    fault = choice(FAULTS, seed, "fault") if uniform(seed, "at fault") < 0.2 else ""
    retry = str(RETRY_AFTER) if fault == "429" else ""
    return Answer(complains(payload), fault, latency * (0.5 + uniform(seed, "latency")), retry)


def serve(latency: float, hang: float, pipe: Connection) -> None:
    """Serve until told to stop, then say how often it did what, and for how long."""
    with serving(partial(behave, latency), hang) as server:
        pipe.send(server.url)
        pipe.recv()
        answers = [seen.answer for seen in server.seen]
        pipe.send(
            (Counter(each.fault for each in answers), sum(each.latency for each in answers if each.fault != "hang"))
        )


@contextmanager
def server_of_its_own(latency: float, hang: float) -> Iterator[Connection]:
    """Run the server in another process; yield the pipe to it."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(latency, hang, theirs), daemon=True)
    process.start()
    try:
        yield ours
    finally:
        process.join(5)
        process.kill()


def least(faults: Counter[str], latencies: float, settings: Settings) -> float:
    """Return the seconds that requests and waits take at least, one after the other."""
    waited = RETRY_AFTER * faults["429"]
    others = sum(number for fault, number in faults.items() if fault not in ("", "429"))
    return latencies + settings.timeout * faults["hang"] + waited + 0.5 * settings.first_wait * others


def main(argv: Sequence[str] | None = None) -> int:
    """Hold the dialogues, print times and outcomes, hold them again from the recording and compare."""
    parser = argparse.ArgumentParser(prog="python -m tests.llm.load", description=__doc__)
    parser.add_argument("--dialogues", type=int, default=1000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--latency", type=float, default=1.0, help="mean seconds of an answer")
    options = parser.parse_args(argv)
    settings = Settings(concurrency=options.concurrency, timeout=4 * options.latency, first_wait=0.5, attempts=8)
    with tempfile.TemporaryDirectory() as folder, server_of_its_own(options.latency, 2 * settings.timeout) as pipe:
        tape, customer = Path(folder) / "tape.jsonl", f"llm:fake@{pipe.recv()}"
        begun = time.monotonic()
        first = hold(customer, options.dialogues, Models(settings, Tape.record(tape)))
        seconds = time.monotonic() - begun
        pipe.send("stop")
        faults, latencies = pipe.recv()
        again = hold(customer, options.dialogues, Models(settings, Tape.replay(tape)))
    ideal = least(faults, latencies, settings) / options.concurrency
    ended = Counter(json.loads(line)["outcome"]["ended_by"] for line in first.splitlines())
    print(f"{options.dialogues} dialogues, {faults.total()} requests, {faults.total() - faults['']} of them at fault")
    print(f"ended: {dict(ended)}; faults: {dict(sorted(faults.items()))}")
    print(f"{seconds:.1f} s, ideal {ideal:.1f} s, ratio {seconds / ideal:.2f}")
    print(f"replayed without a server: {'the same to the byte' if first == again else 'DIFFERENT'}")
    return 0 if first == again else 1


def hold(customer: str, dialogues: int, models: Models) -> str:
    """Return the dialogues of the reference agent with ``customer``, as ``dialogues.jsonl`` has them."""
    with models:
        setting = Setting(ENV, dialogues, customer=customer, models=models)
        evaluation = evaluate(setting, make_agents(["scripted"], setting))
    return as_jsonl(dialogue for held in evaluation.dialogues.values() for dialogue in held)


if __name__ == "__main__":
    sys.exit(main())
