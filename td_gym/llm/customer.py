"""A language model as the customer: its persona card is the system message, its words the next message.

What the service agent writes reaches it as quoted data, so that an agent cannot end a conversation in the customer's
name, nor claim on the customer's behalf what the record shows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import Future

from personas.packaged import packaged_toml
from td_gym.draws import mix
from td_gym.episode import Episode
from td_gym.llm.client import Client
from td_gym.llm.futures import then
from td_gym.llm.messages import Request
from td_gym.llm.quoting import quoted

ROLE = "customer"
_END = re.compile(r"\[\s*(end|hangup)\s*:\s*([1-5](?:\.\d+)?)\s*\]\W*\Z", re.IGNORECASE)


class LLMCustomer:
    """The customer played by a language model; every conversation that waits is asked for at once."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.at_once = client.settings.concurrency

    def reply_batch(self, episodes: Sequence[Episode]) -> list[str]:
        """Return the next message of each conversation; an outage raises ``ServerError``."""
        return [answer.result() for answer in self.start_batch(episodes)]

    def start_batch(self, episodes: Sequence[Episode]) -> list[Future[str]]:
        """Ask for the next message of each conversation and return at once."""
        return [then(self.client.submit(request(each)), lambda reply: message(reply.text)) for each in episodes]


def request(episode: Episode) -> Request:
    """Return what a model is asked for the customer's next message in ``episode``."""
    prompts = packaged_toml(__package__, "prompts.toml")[ROLE]
    system, *chat = episode.messages(ROLE)
    messages = [
        {"role": "system", "content": f"{system['content']}\n\n{prompts['rules']}"},
        {"role": "user", "content": prompts["opening"]},
    ]
    for message in chat:
        words = message["content"]
        messages.append(message if message["role"] == "assistant" else {"role": "user", "content": _heard(words)})
    if chat and (record := episode.sees(ROLE)):
        messages[-1]["content"] += f"\n<record>\n{record}\n</record>"
    return Request(ROLE, messages, mix(episode.seed, ROLE, len(chat)) % 2**31)


def _heard(words: str) -> str:
    """Return what the other side wrote, as data."""
    return f"<agent>\n{quoted(words)}\n</agent>"


def message(reply: str) -> str:
    """Return a model's reply as the customer's message: with its end mark, if any, in the form that counts."""
    return _END.sub(lambda mark: f"[{mark[1].lower()}:{mark[2]}]", reply.strip())
