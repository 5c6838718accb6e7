"""Conversations that do not wait for each other."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

import pytest

from td_gym.envs.batch import ConversationBatch, Step
from td_gym.envs.stream import ConversationStream
from td_gym.episode import Episode
from td_gym.errors import TdGymError
from td_gym.seats import SeatPolicy
from tests.engine.echo_scenario import EchoCustomer, EchoScenario


class SlowCustomer(EchoCustomer):
    """Says what the other does, when told to: the last that was asked first."""

    at_once = 8

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[Episode, Future[str]]] = []

    def start_batch(self, episodes: Sequence[Episode]) -> list[Future[str]]:
        futures: list[Future[str]] = [Future() for _ in episodes]
        self.asked += zip(episodes, futures, strict=True)
        return futures

    def answer_last(self) -> None:
        episode, future = self.asked.pop()
        future.set_result(self.reply_batch([episode])[0])


def stream_of(customer: SeatPolicy, size: int = 3) -> ConversationStream:
    return ConversationStream(EchoScenario(), "service", size, {"customer": customer})


def shown(step: Step) -> tuple[object, ...]:
    return step.observation["text"], step.reward, step.terminated, step.truncated, step.info["costs"], step.relevance


def test_a_conversation_comes_round_when_its_own_message_does() -> None:
    customer = SlowCustomer()
    stream = stream_of(customer)
    stream.begin([0, 1, 2], [5, 6, 7])
    customer.answer_last()
    assert list(stream.receive()) == [2]
    stream.send([2], ["one"])
    customer.answer_last()
    assert list(stream.receive()) == [2]
    customer.answer_last()
    customer.answer_last()
    assert list(stream.receive()) == [0, 1]


def test_it_brings_the_steps_that_a_batch_brings() -> None:
    customer = SlowCustomer()
    stream = stream_of(customer)
    batch = ConversationBatch(EchoScenario(), "service", 3, {"customer": EchoCustomer()})
    stream.begin([0, 1, 2], [5, 6, 7])
    expected = dict(enumerate(batch.reset([0, 1, 2], [5, 6, 7])))
    for turn in range(3):
        got: dict[int, Step] = {}
        while len(got) < len(expected):
            customer.answer_last()
            got |= stream.receive()
        assert {i: shown(step) for i, step in got.items()} == {i: shown(step) for i, step in expected.items()}
        alive = [i for i, step in expected.items() if not (step.terminated or step.truncated)]
        texts = [f"message {turn} to {i}" for i in alive]
        stream.send(alive, texts)
        expected = dict(zip(alive, batch.step(alive, texts), strict=True))


def test_a_seat_that_is_not_slow_speaks_at_once() -> None:
    stream = stream_of(EchoCustomer())
    stream.begin([0, 2], [5, 7])
    assert list(stream.receive()) == [0, 2]
    stream.send([0], ["one"])
    assert list(stream.receive()) == [0]


def test_a_conversation_that_is_begun_anew_hears_nothing_of_the_old_one() -> None:
    customer = SlowCustomer()
    stream = stream_of(customer, 1)
    stream.begin([0], [5])
    stream.begin([0], [6])
    (_, stale), (_, fresh) = customer.asked
    stale.set_result("old")
    fresh.set_result("new")
    (step,) = stream.receive().values()
    assert step.info["messages"][-1]["content"] == "new"


def test_a_conversation_that_is_over_is_forgotten_when_another_takes_its_place() -> None:
    customer = SlowCustomer()
    stream = stream_of(customer, 1)
    stream.begin([0], [5])
    customer.answer_last()
    stream.receive()
    stream.send([0], ["<action>nothing</action>"])
    stream.begin([0], [6])
    customer.answer_last()
    (step,) = stream.receive().values()
    assert not step.terminated
    assert step.info["seed"] == 6


def test_what_a_seat_raises_is_raised() -> None:
    customer = SlowCustomer()
    stream = stream_of(customer, 1)
    stream.begin([0], [5])
    customer.asked[0][1].set_exception(TdGymError("The server is down."))
    with pytest.raises(TdGymError, match="The server is down"):
        stream.receive()


def test_a_failure_of_one_does_not_keep_the_others_away() -> None:
    customer = SlowCustomer()
    stream = stream_of(customer, 2)
    stream.begin([0, 1], [5, 6])
    customer.asked[0][1].set_exception(TdGymError("The server is down."))
    customer.answer_last()
    with pytest.raises(TdGymError, match="The server is down"):
        stream.receive()
    assert list(stream.receive()) == [1]
    with pytest.raises(TdGymError, match="Conversation 0 waits for the customer, which failed; reset it"):
        stream.send([0], ["hello"])


def test_what_is_no_text_is_refused() -> None:
    customer = SlowCustomer()
    stream = stream_of(customer, 1)
    stream.begin([0], [5])
    customer.asked[0][1].set_result(None)  # type: ignore[arg-type]
    with pytest.raises(TdGymError, match="seat 'customer' must return text"):
        stream.receive()


def test_waiting_for_nothing_is_an_error() -> None:
    with pytest.raises(TdGymError, match="No conversation is under way"):
        stream_of(SlowCustomer()).receive()
