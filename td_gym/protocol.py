"""The wire format of a seat's message: optional ``<think>``, ``<action>``, ``<response>`` parts.

``PROTOCOL_VERSION`` names this format together with the tools; trained weights carry it and are
refused under another one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

PROTOCOL_VERSION = "1"
MAX_CHARS = 4096

Messages = Sequence[Mapping[str, str]]
"""Chat messages, each with ``role`` and ``content``."""

_TAG = re.compile(r"<(/?)(think|response|action)>")
_NOTES = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_ARGUMENT = re.compile(r"\s*([A-Za-z_]\w*)=(\"[^\"]*\"|[^\s\"]+)")

_FORMAT = """
Format
<think>notes nobody sees</think><action>NAME key=value</action><response>what the customer reads</response>
All three parts are optional; plain text is a response. Actions:
- chat: no action.
"""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool a seat may call: its argument names (all optional) and one sentence for the briefing."""

    name: str
    arguments: frozenset[str]
    description: str
    looks_up: bool = False
    """A message that calls it and says nothing is an aside: the tool answers, and the seat goes on."""


@dataclass(slots=True)
class ParsedMessage:
    """A message taken apart.  ``error`` is empty, or says in a few words why it is a format error."""

    response: str = ""
    think: str = ""
    action: str = ""
    """Tool name, or empty for none (``chat`` also reads as none)."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    error: str = ""


def describe_format(tools: Mapping[str, Tool]) -> str:
    """Return how a message is written, and ``tools``, in words for the briefing of the seat that writes."""
    return _FORMAT + "\n".join(f"- {tool.name}: {tool.description}" for tool in tools.values())


def parse_message(text: str, tools: Mapping[str, Tool], max_chars: int = MAX_CHARS) -> ParsedMessage:
    """Parse a service-side message; never raises.

    Text without tags is a response with no action.  Parts may come in any order; beside a
    ``<response>`` part, text outside all parts is shown to no one.  Any other ``<`` is text.
    """
    if len(text) > max_chars:
        return ParsedMessage(error=f"longer than {max_chars} characters")
    if "<" not in text:
        return ParsedMessage(response=text.strip())
    parts: dict[str, str] = {}
    outside: list[str] = []
    open_name, start = "", 0
    for tag in _TAG.finditer(text):
        closing, name = tag[1] == "/", tag[2]
        if closing:
            if open_name != name:
                return ParsedMessage(error=f"</{name}> closes nothing")
            parts[name] = text[start : tag.start()].strip()
            open_name = ""
        else:
            if open_name:
                return ParsedMessage(error=f"<{name}> inside <{open_name}>")
            if name in parts:
                return ParsedMessage(error=f"<{name}> repeated")
            outside.append(text[start : tag.start()])
            open_name = name
        start = tag.end()
    if open_name:
        return ParsedMessage(error=f"<{open_name}> is never closed")
    outside.append(text[start:])
    response = parts["response"] if "response" in parts else " ".join(filter(None, map(str.strip, outside)))
    action, arguments, error = _parse_action(parts.get("action", ""), tools)
    return ParsedMessage(response, parts.get("think", ""), action, arguments, error)


def without_notes(text: str) -> str:
    """Return a message without its ``<think>`` part, closed or not."""
    return _NOTES.sub("", text)


def format_call(action: str, arguments: Mapping[str, str]) -> str:
    """Return a tool call as an ``<action>`` part holds it, ``NAME key=value``; empty for none.

    A value keeps all but its double quotes, which become single ones.
    """
    return " ".join([action, *(f"{name}={_quoted(value)}" for name, value in arguments.items())])


def _quoted(value: str) -> str:
    """Return an argument's value, in quotes where it would not end at the next space."""
    plain = value.replace('"', "'")
    return plain if plain and not re.search(r"\s", plain) else f'"{plain}"'


def _parse_action(text: str, tools: Mapping[str, Tool]) -> tuple[str, dict[str, str], str]:
    name, _, rest = text.strip().partition(" ")
    if name in ("", "chat"):
        return "", {}, "chat takes no arguments" if rest.strip() else ""
    if name not in tools:
        return "", {}, f"unknown action {name[:40]!r}"
    arguments: dict[str, str] = {}
    position = 0
    rest = rest.strip()
    while position < len(rest):
        match = _ARGUMENT.match(rest, position)
        if match is None:
            return "", {}, f"arguments of {name} are not key=value pairs"
        if match[1] in arguments:
            return "", {}, f"{name} has argument {match[1][:40]!r} twice"
        arguments[match[1]] = match[2].strip('"')
        position = match.end()
    unknown = arguments.keys() - tools[name].arguments
    if unknown:
        return "", {}, f"{name} has no argument {min(unknown)[:40]!r}"
    return name, arguments, ""
