"""A model on a server in the service seat: its calls become actions, its own history calls, and faults stay faults."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import agents
from agents.server_agent import ServerAgent, native_messages
from evals.cli import main
from td_gym.errors import TdGymError
from td_gym.llm import Models, ServerError, Settings
from td_gym.protocol import Tool, parse_message
from td_gym.registration import make_scenario
from tests.llm.server import Answer, serving

TOOLS = {
    "voucher": Tool("voucher", frozenset({"amount", "note"}), "credit a voucher"),
    "query": Tool("query", frozenset({"domain"}), "look up", looks_up=True),
}
CHAT = [{"role": "system", "content": "You serve."}, {"role": "user", "content": "My soup was spilled."}]


def reply(answer: Answer, native: bool = True) -> tuple[str, dict[str, Any]]:
    """Return what the agent makes of an answer, and what it sent."""
    with serving(lambda payload, number: answer) as server, Models(Settings(attempts=1)) as models:
        agent = ServerAgent(models.client(f"fake@{server.url}"), native, TOOLS)
        return agent.act(None, CHAT), server.seen[0].payload


@pytest.mark.parametrize(
    ("words", "arguments", "message"),
    [
        ("Here.", '{"amount": "5"}', "<action>voucher amount=5</action><response>Here.</response>"),
        ("", '{"amount": 5}', "<action>voucher amount=5</action>"),
        ("<response>Here.</response>", "{}", "<action>voucher</action><response>Here.</response>"),
        ("Here.", "", "<action>voucher</action><response>Here.</response>"),
        ("", '{"amount": null, "note": "\\ud800"}', "<action>voucher note=?</action>"),
        ("", '{"note": "for \\"you\\" only"}', "<action>voucher note=\"for 'you' only\"</action>"),
    ],
)
def test_a_call_becomes_an_action(words: str, arguments: str, message: str) -> None:
    said, _ = reply(Answer(words, calls=(("voucher", arguments), ("query", "{}"))))
    assert said == message
    assert parse_message(said, TOOLS).error == ""
    assert parse_message(said, TOOLS).action == "voucher"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("voucher", "five"),
        ("voucher", "[5]"),
        ("voucher", '{"sum": 5}'),
        ("refund", "{}"),
        ("voucher", '{"amount":'),
        ("voucher", '{"amount": ' + "[" * 100_000),
    ],
    ids=str,
)
def test_a_call_that_is_none_is_a_format_error(name: str, arguments: str) -> None:
    said, _ = reply(Answer("Here.", calls=((name, arguments),)))
    assert parse_message(said, TOOLS).error


@pytest.mark.parametrize("words", ["x" * 5000, "<response>never closed"])
def test_words_beside_a_call_are_held_to_the_rules(words: str) -> None:
    said, _ = reply(Answer(words, calls=(("voucher", "{}"),)))
    assert parse_message(said, TOOLS).error


def test_tools_are_offered_as_functions() -> None:
    said, payload = reply(Answer("Hello."))
    assert said == "Hello."
    assert payload["messages"] == CHAT
    voucher, _ = payload["tools"]
    assert voucher["function"] == {
        "name": "voucher",
        "description": "credit a voucher",
        "parameters": {
            "type": "object",
            "properties": {"amount": {"type": "string"}, "note": {"type": "string"}},
            "additionalProperties": False,
        },
    }


def test_plain_text_is_sent_and_taken_as_it_is() -> None:
    said, payload = reply(Answer("<action>voucher</action>Here."), native=False)
    assert said == "<action>voucher</action>Here."
    assert "tools" not in payload


def test_own_calls_stand_in_the_history_as_the_protocol_has_them() -> None:
    own = '<think>Hm.</think><action>query domain="hotel"</action>'
    result = "<tool_result>query: 3 found</tool_result>"
    call = "<action>voucher amount=5</action><response>Here.</response>"
    plain = "<think>Hm.</think><response>Anything else?</response>"
    chat = native_messages(
        [
            *CHAT,
            *({"role": role, "content": text} for role, text in (("assistant", own), ("user", result))),
            *({"role": role, "content": text} for role, text in (("assistant", call), ("user", "Thanks."))),
            {"role": "assistant", "content": plain},
            {"role": "user", "content": "<tool_result> is a strange word."},
        ],
        TOOLS,
    )
    assert chat[:2] == CHAT
    assert [message["role"] for message in chat[2:]] == [
        "assistant",
        "tool",
        "assistant",
        "tool",
        "user",
        "assistant",
        "user",
    ]
    look, found, give, given, *_ = chat[2:]
    assert look["content"] == ""
    assert look["tool_calls"][0]["function"] == {"name": "query", "arguments": '{"domain": "hotel"}'}
    assert found == {"role": "tool", "tool_call_id": look["tool_calls"][0]["id"], "content": "query: 3 found"}
    assert give["content"] == "Here."
    assert given == {"role": "tool", "tool_call_id": give["tool_calls"][0]["id"], "content": "done"}
    assert chat[-2:] == [
        {"role": "assistant", "content": "Anything else?"},
        {"role": "user", "content": "<tool_result> is a strange word."},
    ]


def test_tools_are_found_by_the_briefing() -> None:
    scenario = make_scenario("Sales")
    with serving(lambda payload, number: Answer("Hello.")) as server, Models() as models:
        agent = ServerAgent(models.client(f"fake@{server.url}"), native=True)
        assert agent.act(None, scenario.begin(3).messages("service")) == "Hello."
        names = {tool["function"]["name"] for tool in server.seen[0].payload["tools"]}
    assert names == {"offer_coupon", "confirm_order"}


def test_a_server_without_tool_calling_is_told_apart(tmp_path: Path) -> None:
    refusal = Answer("tool calling is not enabled", "400")
    with serving(lambda payload, number: refusal if "tools" in payload else Answer("Hi.")) as server:
        agent = agents.make(f"openai:fake@{server.url}", env_id="td_gym/FoodDispute-v0")
        with pytest.raises(TdGymError, match=r"tool calling is not enabled.* add #text behind its URL"):
            agent.act(None, CHAT)
        agent = agents.make(f"openai:fake@{server.url}#text", env_id="td_gym/FoodDispute-v0")
        assert agent.act(None, CHAT) == "Hi."


def test_the_seed_goes_with_every_request() -> None:
    with serving(lambda payload, number: Answer("Hi.")) as server, Models() as models:
        agent = ServerAgent(models.client(f"fake@{server.url}"), native=False)
        for seed in (1, 2, 1):
            agent.reset(seed)
            agent.act(None, CHAT)
        one, two, again = (seen.payload["seed"] for seen in server.seen)
    assert one == again != two


def test_it_is_evaluated_like_any_agent(tmp_path: Path) -> None:
    def serves(payload: dict[str, Any], number: int) -> Answer:
        heard = sum(message["role"] == "user" for message in payload["messages"])
        call = (("voucher", "{}"),) if heard == 2 else ()
        return Answer("I am sorry about the soup. I can give you a voucher.", calls=call)

    with serving(serves) as server:
        spec = f"openai:fake@{server.url}"
        command = ["evaluate", "--env", "td_gym/FoodDispute-v0", "--agent", spec, "--episodes", "4"]
        assert main([*command, "--out", str(tmp_path)]) == 0
        asked = len(server.seen)
        assert server.most_at_once > 1
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["provenance"]["models"]["service"]["requests"] == asked
    (metrics,) = (each["metrics"] for each in results["agents"].values())
    assert metrics["voucher_rate"]["mean"] > 0


def test_an_outage_is_no_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(lambda payload, number: Answer("", "401")) as server:
        command = ["evaluate", "--env", "td_gym/Sales-v0", "--agent", f"openai:fake@{server.url}", "--episodes", "2"]
        assert main([*command, "--out", str(tmp_path)]) == 2
    assert "it wants another key" in capsys.readouterr().err
    assert not (tmp_path / "results.json").exists()


def test_a_spec_that_is_none_is_refused() -> None:
    with pytest.raises(TdGymError, match="MODEL@URL"):
        agents.make("openai:gpt")


def test_an_outage_of_one_conversation_is_that_of_all() -> None:
    with serving(lambda payload, number: Answer("Hi.", "" if number else "404")) as server, Models() as models:
        agent = ServerAgent(models.client(f"fake@{server.url}"), native=False)
        with pytest.raises(ServerError):
            agent.act_batch([None, None], [CHAT, CHAT])
