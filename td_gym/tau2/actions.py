"""The service seat's messages, whose tools are a tau2 domain's: their arguments are JSON, not text alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from personas.packaged import packaged_toml
from td_gym.llm.client import as_unicode
from td_gym.protocol import Tool, parse_message

DONE = "done"
"""The tool that closes a ticket where there is no customer."""
_JSON_CALL = re.compile(r"(<action>\s*(\w+))\s*(\{.*?\})(?=\s*</action>)", re.DOTALL)
_PLAIN = frozenset(("array", "boolean", "integer", "null", "number", "object"))
"""JSON types whose values, written ``key=value``, are JSON; a value of any other is text."""


class Function(NamedTuple):
    """A tool with the JSON schema of its arguments."""

    name: str
    description: str
    parameters: Mapping[str, Any]

    @property
    def arguments(self) -> Mapping[str, Any]:
        """Return the schema of each argument."""
        found: Mapping[str, Any] = self.parameters.get("properties", {})
        return found


class Said(NamedTuple):
    """A message taken apart.  ``error`` is empty, or says in a few words why it is a format error."""

    words: str = ""
    call: str = ""
    """Name of the tool called, empty for none."""
    arguments: Mapping[str, Any] = {}
    error: str = ""


def functions_of(tools: Iterable[Any], solo: bool) -> dict[str, Function]:
    """Return tau2's ``tools`` by name, and in ``solo`` mode the one that closes the ticket."""
    described = [tool.openai_schema["function"] for tool in tools]
    if solo:
        closing = packaged_toml(__package__, "briefing.toml")[DONE]
        described.append({"name": DONE, "description": closing, "parameters": {"properties": {}, "type": "object"}})
    return {each["name"]: Function(each["name"], each["description"], each["parameters"]) for each in described}


def briefing(domain: str, policy: str, functions: Mapping[str, Function], solo: bool) -> str:
    """Return the service seat's system message."""
    words = packaged_toml(__package__, "briefing.toml")
    tools = "\n".join(
        f"- {each.name}: {each.description}\n  {json.dumps(each.parameters)}" for each in functions.values()
    )
    ending = words["solo" if solo else "customer"].strip()
    filled: str = words["desk"].format(domain=domain, policy=policy, tools=tools, ending=ending)
    return filled.strip()


def read(text: str, functions: Mapping[str, Function], max_chars: int) -> Said:
    """Take a message apart; never raises.

    The format is that of ``td_gym.protocol``, whose arguments may also be one JSON object.  A message that neither
    speaks nor calls is a format error, since tau2 has no silent turns.
    """
    text = as_unicode(text)
    written = _JSON_CALL.search(text) if len(text) <= max_chars else None
    rest = f"{text[: written.end(1)]}{text[written.end(3) :]}" if written else text
    tools = {each.name: Tool(each.name, frozenset(each.arguments), each.description) for each in functions.values()}
    message = parse_message(rest, tools, max_chars)
    if message.error:
        return Said(error=message.error)
    if not message.action:
        if written is not None:
            return Said(error="chat takes no arguments")
        return Said(message.response, error="" if message.response else "neither words nor a call")
    function = functions[message.action]
    if written is None:
        plain = {name: _value(value, function.arguments[name]) for name, value in message.arguments.items()}
        return Said(message.response, function.name, plain)
    arguments = _object(written[3])
    if arguments is None:
        return Said(error=f"arguments of {function.name} are no JSON object")
    if more := arguments.keys() - function.arguments.keys():
        return Said(error=f"{function.name} has no argument {min(more)[:40]!r}")
    return Said(message.response, function.name, arguments)


def written_call(name: str, arguments: Mapping[str, Any]) -> str:
    """Return a call as a message has it."""
    return f"<action>{name} {json.dumps(dict(arguments))}</action>"


def _object(text: str) -> dict[str, Any] | None:
    """Return the JSON object ``text``, ``None`` where it is none or holds halves of characters."""
    try:
        found = json.loads(text)
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _value(text: str, schema: Mapping[str, Any]) -> Any:
    """Return what a plain value says under its schema: the text itself where that may be text, or is no JSON."""
    if any(kind not in _PLAIN for kind in _kinds(schema)):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _kinds(schema: Mapping[str, Any]) -> list[str]:
    """Return the JSON types that a schema allows; an unnamed one counts as text."""
    if "anyOf" in schema:
        return [kind for each in schema["anyOf"] for kind in _kinds(each)]
    return [str(schema.get("type", "string"))]
