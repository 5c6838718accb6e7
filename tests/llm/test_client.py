"""Clients against a server with faults: what passes is asked again, what stays is an error that names it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from td_gym.errors import TdGymError
from td_gym.llm import KEY_VARIABLE, Completion, Models, Request, ServerError, Settings, ToolCall
from tests.llm.server import FAULTS, Answer, Behaviour, says, serving

QUICK = Settings(timeout=0.5, first_wait=0.01, attempts=4)
CANARY = "sk-canary-7f3a9"


def ask(models: Models, url: str, words: str = "Hello?", seed: int = 0) -> Completion:
    request = Request("customer", [{"role": "user", "content": words}], seed)
    return models.client(f"fake@{url}").submit(request).result(timeout=30)


def first(fault: str, **more: Any) -> Behaviour:
    """A server whose first answer is at fault."""
    return lambda payload, number: Answer("Hi.", "" if number else fault, **more)


def test_a_reply_is_read_and_counted() -> None:
    with serving(says("Hi.")) as server, Models() as models:
        assert ask(models, server.url) == Completion("Hi.", (), 10, 3)
        assert models.usage() == {"customer": {"attempts": 1, "read": 10, "requests": 1, "written": 3}}
        payload = server.seen[0].payload
    assert payload["model"] == "fake"
    assert payload["messages"] == [{"role": "user", "content": "Hello?"}]
    assert (payload["temperature"], payload["max_tokens"], payload["seed"]) == (1.0, 512, 0)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_passes_is_met_by_asking_again(fault: str) -> None:
    with serving(first(fault), hang=1.0) as server, Models(QUICK) as models:
        assert ask(models, server.url).text == "Hi."
        assert models.usage()["customer"] == {"attempts": 2, "read": 10, "requests": 1, "written": 3}
        assert [seen.payload["seed"] for seen in server.seen] == [0, 1]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_stays_is_an_error_that_names_server_and_fault(fault: str) -> None:
    with serving(lambda payload, number: Answer("", fault), hang=1.0) as server, Models(QUICK) as models:
        with pytest.raises(ServerError, match=r"fake@http://127.0.0.1:\d+/v1 .*4 times in a row"):
            ask(models, server.url)
        assert len(server.seen) == 4
        assert models.usage() == {"customer": {"attempts": 4}}


def test_a_server_that_is_not_there_is_an_error() -> None:
    with serving(says("")) as server:
        url = server.url
    with Models(QUICK) as models, pytest.raises(ServerError, match="cannot be reached"):
        ask(models, url)


def test_the_time_that_a_server_names_is_waited() -> None:
    with serving(first("429", retry_after="0.3")) as server, Models(QUICK) as models:
        begun = time.monotonic()
        assert ask(models, server.url).text == "Hi."
        assert 0.3 <= time.monotonic() - begun < 3


def test_a_server_that_asks_for_more_than_is_waited_is_an_error() -> None:
    with serving(first("429", retry_after="3600")) as server, Models(QUICK) as models:
        with pytest.raises(ServerError, match="left alone"):
            ask(models, server.url)
        assert len(server.seen) == 1


@pytest.mark.parametrize(("status", "says_so"), [("400", "refuses the request: .*400.*no such"), ("404", "404")])
def test_a_request_that_is_refused_is_not_sent_again(status: str, says_so: str) -> None:
    with serving(lambda payload, number: Answer("no such model", status)) as server, Models(QUICK) as models:
        with pytest.raises(ServerError, match=says_so):
            ask(models, server.url)
        assert len(server.seen) == 1


@pytest.mark.parametrize("status", ["400", "401", "403", "500"])
def test_the_key_reaches_the_server_and_no_error(status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, CANARY)
    echo = Answer(f"Incorrect API key provided: {CANARY}", status)
    with serving(lambda payload, number: echo) as server, Models(QUICK) as models:
        with pytest.raises(ServerError) as raised:
            ask(models, server.url)
        assert server.seen[0].headers["authorization"] == f"Bearer {CANARY}"
    chain: BaseException | None = raised.value
    while chain is not None:
        assert CANARY not in f"{chain} {chain!r} {vars(chain)}"
        chain = chain.__cause__


def test_tool_calls_are_read() -> None:
    answer = Answer("", calls=(("voucher", '{"amount": "5"}'),))
    with serving(lambda payload, number: answer) as server, Models() as models:
        assert ask(models, server.url).calls == (ToolCall("voucher", '{"amount": "5"}'),)


def test_no_more_requests_than_allowed_are_under_way() -> None:
    def behave(payload: dict[str, Any], number: int) -> Answer:
        return Answer("Hi.", latency=0.05)

    with serving(behave) as server, Models(Settings(concurrency=3)) as models:
        client = models.client(f"fake@{server.url}")
        answers = [client.submit(Request("customer", [{"role": "user", "content": str(i)}], i)) for i in range(12)]
        assert {answer.result(timeout=30).text for answer in answers} == {"Hi."}
        assert 1 < server.most_at_once <= 3


def test_nothing_is_asked_beyond_the_token_budget() -> None:
    with serving(says("Hi.")) as server, Models(Settings(token_budget=20)) as models:
        ask(models, server.url)
        ask(models, server.url)
        with pytest.raises(TdGymError, match="budget of 20 tokens is spent"):
            ask(models, server.url)
        assert len(server.seen) == 2


def test_halves_of_characters_are_neither_sent_nor_kept() -> None:
    with serving(says("so\ud800")) as server, Models() as models:
        assert ask(models, server.url, "why\udfff").text == "so?"
        assert server.seen[0].payload["messages"][0]["content"] == "why?"


@pytest.mark.parametrize(
    "settings",
    [
        {"concurrency": 0},
        {"attempts": 0},
        {"max_tokens": 0},
        {"token_budget": 0},
        {"timeout": 0.0},
        {"first_wait": float("nan")},
        {"longest_wait": float("inf")},
    ],
    ids=str,
)
def test_settings_out_of_range_are_named(settings: dict[str, Any]) -> None:
    with pytest.raises(TdGymError, match=next(iter(settings))):
        Settings(**settings)


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "qwen",
        "@http://host/v1",
        "qwen@",
        "qwen@host/v1",
        "qwen@ftp://host/v1",
        "qwen@http://",
        "qwen@http://h:x/v1",
    ],
)
def test_a_spec_that_is_none_is_refused(spec: str) -> None:
    with Models() as models, pytest.raises(TdGymError, match="MODEL@URL"):
        models.client(spec)


@pytest.mark.parametrize(
    "spec",
    [f"qwen@http://user:{CANARY}@host/v1", f"qwen@http://host/v1?key={CANARY}", f"qwen@http://host/v1#{CANARY}"],
)
def test_a_secret_in_a_spec_is_refused_and_not_repeated(spec: str) -> None:
    with Models() as models, pytest.raises(TdGymError, match="out of the URL") as raised:
        models.client(spec)
    assert CANARY not in str(raised.value)


def test_a_model_may_have_an_at_sign_in_its_name() -> None:
    with Models() as models:
        client = models.client("team@qwen@http://host/v1/")
    assert client.endpoint == ("team@qwen", "http://host/v1")
    assert str(client.endpoint) == "team@qwen@http://host/v1"
