"""A language model on a server in the service seat: ``openai:MODEL@URL``.

By default the model is offered the desk's tools the way the protocol does, and its call becomes our ``<action>``; of
several calls in one reply the first counts.  With ``#text`` behind the URL it writes the tags itself, as its briefing
says: for servers without tool calling.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from agents.agent import ByBriefing
from td_gym.draws import mix
from td_gym.llm.client import Client, RefusedError, as_unicode
from td_gym.llm.messages import Completion, Request, ToolCall
from td_gym.llm.models import Models
from td_gym.protocol import Messages, Tool, format_call, parse_message
from td_gym.scenario import Scenario

TEXT = "#text"
ROLE = "service"
_RESULT, _END = "<tool_result>", "</tool_result>"

Tools = Mapping[str, Tool]


class ServerAgent:
    """Asks a model for every message; conversations that are asked about together are asked at once."""

    def __init__(self, client: Client, native: bool, tools: Tools | None = None, temperature: float = 1.0) -> None:
        self.client = client
        self.native = native
        self.temperature = temperature
        self._tools = tools
        self._by_briefing: ByBriefing[Tools] = ByBriefing(lambda scenario: scenario.tools)
        self._seed = 0

    def reset(self, seed: int | None = None) -> None:
        """Start afresh; ``seed`` goes to the server with every request."""
        self._seed = 0 if seed is None else seed

    def act(self, observation: Any, messages: Messages) -> str:
        """Return the next message; an outage raises ``ServerError``."""
        return self.act_batch([observation], [messages])[0]

    def act_batch(self, observations: Sequence[Any], messages: Sequence[Messages]) -> list[str]:
        """Return the next message in each conversation; an outage raises ``ServerError``."""
        answers = [self.client.submit(self._request(each)) for each in messages]
        try:
            return [_message(answer.result()) for answer in answers]
        except RefusedError as error:
            if not self.native or error.status not in (400, 422):
                raise
            hint = f"If the server has no tool calling, add {TEXT} behind its URL."
            raise RefusedError(f"{error} {hint}", error.status) from error

    def _request(self, messages: Messages) -> Request:
        seed = mix(self._seed, ROLE, len(messages), messages[-1]["content"]) % 2**31
        if not self.native:
            return Request(ROLE, [dict(message) for message in messages], seed, self.temperature)
        tools = self._by_briefing.of(messages) if self._tools is None else self._tools
        functions = [_function(tool) for tool in tools.values()]
        return Request(ROLE, native_messages(messages, tools), seed, self.temperature, functions)


def on_server(spec: str, models: Models, scenario: Scenario | None, temperature: float) -> ServerAgent:
    """Return the agent of ``MODEL@URL``, with ``#text`` behind it or not; ``TdGymError`` where it is neither."""
    client = models.client(spec.removesuffix(TEXT))
    return ServerAgent(client, not spec.endswith(TEXT), scenario.tools if scenario else None, temperature)


def native_messages(messages: Messages, tools: Tools) -> list[dict[str, Any]]:
    """Return a chat with its own tool calls, and what they brought, as the protocol has them."""
    chat: list[dict[str, Any]] = []
    for message in messages:
        role, content = message["role"], message["content"]
        if role == "assistant":
            chat += _own(content, tools, f"call{len(chat):05d}")  # nine letters and figures, which all servers take
        elif content.startswith(_RESULT) and chat and chat[-1]["role"] == "tool":
            chat[-1]["content"] = content.removeprefix(_RESULT).removesuffix(_END)
        else:
            chat.append({"role": role, "content": content})
    return chat


def _own(text: str, tools: Tools, call_id: str) -> list[dict[str, Any]]:
    """Return an own message, with what a call brings as long as no tool says otherwise."""
    said = parse_message(text, tools, max_chars=len(text))
    if not said.action:
        return [{"role": "assistant", "content": said.response or text}]
    function = {"name": said.action, "arguments": json.dumps(dict(said.arguments))}
    call = {"id": call_id, "type": "function", "function": function}
    return [
        {"role": "assistant", "content": said.response, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call_id, "content": "done"},
    ]


def _function(tool: Tool) -> dict[str, Any]:
    """Return a tool as the protocol describes functions; every argument is optional text."""
    names = sorted(tool.arguments)
    parameters = {
        "type": "object",
        "properties": {name: {"type": "string"} for name in names},
        "additionalProperties": False,
    }
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": parameters},
    }


def _message(reply: Completion) -> str:
    """Return a reply as a message of the service seat."""
    if not reply.calls:
        return reply.text
    action = f"<action>{as_unicode(_call(reply.calls[0]))}</action>"
    said = parse_message(reply.text, {}, max_chars=len(reply.text))
    words = reply.text if said.error else said.response  # it may write the tags too, as its briefing says
    return f"{action}<response>{words}</response>" if words else action


def _call(call: ToolCall) -> str:
    """Return a call as an ``<action>`` holds it; arguments that are none become a format error there."""
    try:
        arguments = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        return f"{call.name} {call.arguments}"
    return format_call(call.name, {name: str(value) for name, value in arguments.items() if value is not None})
