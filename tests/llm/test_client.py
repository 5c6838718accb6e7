"""Clients against a server with faults: what passes is asked again, what stays is an error that names it."""

from __future__ import annotations

import copy
import gc
import os
import time
import weakref
from concurrent.futures import CancelledError
from typing import Any

import pytest

from td_gym.errors import TdGymError
from td_gym.llm import KEY_VARIABLE, Completion, Endpoint, Models, Request, ServerError, Settings, ToolCall
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
        usage = models.usage()["customer"]
        assert (usage["attempts"], usage["requests"]) == (2, 1)
        assert usage["read"] == (20 if fault == "no words" else 10)  # which the server counts too
        assert [seen.payload["seed"] for seen in server.seen] == [0, 1]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_stays_is_an_error_that_names_server_and_fault(fault: str) -> None:
    with serving(lambda payload, number: Answer("", fault), hang=1.0) as server, Models(QUICK) as models:
        with pytest.raises(ServerError, match=r"fake@http://127.0.0.1:\d+/v1 .*4 times in a row"):
            ask(models, server.url)
        assert len(server.seen) == 4
        assert models.usage()["customer"]["attempts"] == 4
        assert "requests" not in models.usage()["customer"]


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


UNSUPPORTED = "Unsupported parameter: '{0}' is not supported with this model."
FORBIDDEN = '{{"detail": [{{"type": "extra_forbidden", "loc": ["body", "{0}"], "msg": "Extra inputs"}}]}}'


def without(refused: set[str], says_so: str, param: bool = False) -> Behaviour:
    """A server that takes no parameter of ``refused``, and says so of one at a time."""

    def behave(payload: dict[str, Any], number: int) -> Answer:
        found = sorted(refused & payload.keys())
        if not found:
            return Answer("Hi.")
        return Answer(says_so.format(found[0]), "400" if param else "422", param=found[0] if param else "")

    return behave


@pytest.mark.parametrize(("says_so", "param"), [(UNSUPPORTED, True), (UNSUPPORTED, False), (FORBIDDEN, False)])
@pytest.mark.parametrize("names", ["max_tokens", "seed", "max_tokens seed temperature"])
def test_what_a_server_does_not_take_is_left_out(names: str, says_so: str, param: bool) -> None:
    refused = set(names.split())
    models = Models(Settings(attempts=1))
    with serving(without(refused, says_so, param)) as server, models:
        assert ask(models, server.url).text == "Hi."
        assert ask(models, server.url, "And now?").text == "Hi."
        assert models.usage()["customer"]["attempts"] == len(refused) + 2 == len(server.seen)
        asked = server.seen[-1].payload
    assert not refused & asked.keys()
    assert asked.get("max_tokens", asked.get("max_completion_tokens")) == 512
    assert {"temperature", "seed"} - refused <= asked.keys()


def test_a_temperature_that_a_server_does_not_take_is_an_error_where_it_is_not_the_protocols_own() -> None:
    cold = Request("service", [{"role": "user", "content": "Hello?"}], 0, temperature=0.5)
    with serving(without({"temperature"}, UNSUPPORTED)) as server, Models(QUICK) as models:
        assert ask(models, server.url).text == "Hi."
        with pytest.raises(ServerError, match=r"refuses the request: .*temperature"):
            models.client(f"fake@{server.url}").submit(cold).result(timeout=30)
        assert server.seen[-1].payload["temperature"] == 0.5


def test_other_refusals_that_mention_a_parameter_end_too() -> None:
    long = Answer("'max_tokens' or 'max_completion_tokens' is too large: 512.", "400")
    with serving(lambda payload, number: long) as server, Models(QUICK) as models:
        with pytest.raises(ServerError, match="too large"):
            ask(models, server.url)
        assert len(server.seen) == 2


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


def test_a_key_that_the_server_repeats_in_its_reply_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, CANARY)
    with serving(says(f"Your key is {CANARY}.")) as server, Models(QUICK) as models:
        assert ask(models, server.url).text == "Your key is ***."


@pytest.mark.parametrize(("own", "sent"), [(None, CANARY), ("sk-own", "sk-own"), ("", "none")])
def test_a_server_may_have_a_key_of_its_own(own: str | None, sent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, CANARY)
    if own is not None:
        monkeypatch.setenv(f"{KEY_VARIABLE}_127_0_0_1", own)
    with serving(says("It is sk-own.")) as server, Models(QUICK) as models:
        assert ask(models, server.url).text == ("It is ***." if own else "It is sk-own.")
        assert server.seen[0].headers["authorization"] == f"Bearer {sent}"


def test_an_error_names_the_variable_of_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY_API_MISTRAL_AI", "sk-schlüssel")
    assert Endpoint.parse("m@https://API.mistral.ai:443/v1").key_variable == "OPENAI_API_KEY_API_MISTRAL_AI"
    with pytest.raises(TdGymError, match="OPENAI_API_KEY_API_MISTRAL_AI holds"):
        Endpoint.parse("m@https://api.mistral.ai/v1").key()
    wants = "set OPENAI_API_KEY, or OPENAI_API_KEY_127_0_0_1 for this server alone"
    closed = serving(lambda payload, number: Answer("No.", "401"))
    with closed as server, Models(QUICK) as models, pytest.raises(ServerError, match=wants):
        ask(models, server.url)


def test_a_key_that_cannot_be_sent_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "sk-schlüssel")
    with serving(says("Hi.")) as server, Models(QUICK) as models, pytest.raises(TdGymError, match=KEY_VARIABLE):
        ask(models, server.url)


def test_tool_calls_are_read_where_tools_were_offered() -> None:
    answer = Answer("", calls=(("voucher", '{"amount": "5"}'),))
    request = Request("service", [{"role": "user", "content": "Hello?"}], 0, tools=[{"type": "function"}])
    with serving(lambda payload, number: answer) as server, Models(QUICK) as models:
        reply = models.client(f"fake@{server.url}").submit(request).result(timeout=30)
        assert reply.calls == (ToolCall("voucher", '{"amount": "5"}'),)
        with pytest.raises(ServerError, match="empty replies"):
            ask(models, server.url)


@pytest.mark.parametrize(
    "answer",
    [
        Answer("I wanted to say", finish="length"),
        Answer("<think>I wonder"),
        Answer("<think>I wonder.</think>"),
        Answer("I wonder.</think> \n"),
        Answer("", "nested"),
    ],
    ids=["cut off", "thought", "thought only", "end of a thought", "nested"],
)
def test_a_reply_that_cannot_be_used_is_asked_for_again(answer: Answer) -> None:
    with serving(lambda payload, number: Answer("Hi.") if number else answer) as server, Models(QUICK) as models:
        assert ask(models, server.url).text == "Hi."
    with serving(lambda payload, number: answer) as server, Models(QUICK) as models, pytest.raises(ServerError):
        ask(models, server.url)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ("<think>Hm.</think>\nHi.", "Hi."),
        ("Hm.</think>Hi.", "Hi."),
        ("<action>chat</action><think>Hm.</think>Hi.", "<action>chat</action><think>Hm.</think>Hi."),
        ("\x1b[31mHi.\x07", "[31mHi."),
        ("Two\nlines.", "Two\nlines."),
    ],
)
def test_thoughts_before_a_reply_and_control_characters_are_dropped(reply: str, words: str) -> None:
    with serving(says(reply)) as server, Models(QUICK) as models:
        assert ask(models, server.url).text == words


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


def test_replies_that_cannot_be_used_are_paid_for_too() -> None:
    with serving(says("")) as server, Models(Settings(token_budget=20, first_wait=0.01)) as models:
        with pytest.raises(TdGymError, match="budget of 20 tokens is spent"):
            ask(models, server.url)
        assert len(server.seen) == 2


def test_a_server_that_does_not_say_what_it_took_cannot_keep_a_budget() -> None:
    silent = lambda payload, number: Answer("Hi.", tokens=None)  # noqa: E731
    with serving(silent) as server, Models() as models:
        assert ask(models, server.url) == Completion("Hi.", (), 0, 0)
    models = Models(Settings(token_budget=20))
    with serving(silent) as server, models, pytest.raises(ServerError, match="does not say how many tokens"):
        ask(models, server.url)


def test_nothing_is_asked_of_servers_that_are_closed() -> None:
    with serving(says("Hi.")) as server:
        with Models() as models:
            client = models.client(f"fake@{server.url}")
            assert ask(models, server.url).text == "Hi."
            assert copy.deepcopy(client) is client
        models.close()
        with pytest.raises(TdGymError, match="are closed"):
            client.submit(Request("customer", [], 0))


def test_servers_that_nobody_closed_close_their_connections_first() -> None:
    """The garbage collector finalises in any order; what is not garbage yet is closed in ours."""
    found = []

    class Forgotten(Models):
        def __del__(self) -> None:
            found.append(connection() is not None)
            super().__del__()
            found.append(bool(self.opened))

    with serving(says("Hi.")) as server:
        models = Forgotten()
        ask(models, server.url)
        connection = weakref.ref(models.opened[0])
        del models
        gc.collect()
        assert found == [True, False]


def test_what_is_under_way_when_servers_are_closed_is_given_up() -> None:
    with serving(lambda payload, number: Answer("", "hang"), hang=2.0) as server:
        models = Models()
        answer = models.client(f"fake@{server.url}").submit(Request("customer", [], 0))
        models.close()
        with pytest.raises(CancelledError):
            answer.result(timeout=5)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_another_process_is_told_to_open_its_own() -> None:
    with serving(says("Hi.")) as server, Models() as models:
        ask(models, server.url)
        child = os.fork()
        if child == 0:  # what happens here is told by the exit status
            try:
                ask(models, server.url)
            except TdGymError as error:
                os._exit(0 if "open them in each process" in str(error) else 2)
            os._exit(1)
        _, status = os.waitpid(child, 0)
        assert status == 0


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
    [
        f"qwen@http://user:{CANARY}@host/v1",
        f"qwen@user:{CANARY}@host/v1",
        f"qwen@http://host/v1?key={CANARY}",
        f"@http://host?key={CANARY}",
        f"qwen@http://host/v1#{CANARY}",
    ],
)
def test_a_secret_in_a_spec_is_refused_and_not_repeated(spec: str) -> None:
    with Models() as models, pytest.raises(TdGymError, match=r"URL") as raised:
        models.client(spec)
    assert CANARY not in str(raised.value)


def test_a_model_may_have_an_at_sign_in_its_name() -> None:
    with Models() as models:
        client = models.client("team@qwen@http://host/v1/")
    assert client.endpoint == ("team@qwen", "http://host/v1")
    assert str(client.endpoint) == "team@qwen@http://host/v1"
