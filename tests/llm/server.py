"""A server that speaks OpenAI's chat protocol over real HTTP, with the faults that such servers have."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

FAULTS = ("429", "500", "hang", "cut off", "no json", "wrong schema", "no choices", "no words", "reset")
"""Faults that pass; ``nested`` is another, of JSON that is nested too deep."""


class Answer(NamedTuple):
    """What the server does with one request."""

    text: str = ""
    fault: str = ""
    """One of ``FAULTS``, an HTTP status, or empty for none."""
    latency: float = 0.0
    retry_after: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    finish: str = "stop"
    tokens: int | None = 13
    """Tokens that it says it took, ten of them the request's; ``None`` where it does not say."""
    param: str = ""
    """The parameter that an error names."""


class Seen(NamedTuple):
    """One request, as it arrived."""

    payload: dict[str, Any]
    headers: dict[str, str]
    answer: Answer


Behaviour = Callable[[dict[str, Any], int], Answer]
"""The answer to a request, given what it holds and how many came before it."""


class ChatServer(ThreadingHTTPServer):
    """Answers as ``behave`` says, and keeps what it was sent in ``seen``."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, behave: Behaviour, hang: float = 5.0) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behave = behave
        self.hang = hang
        """Seconds for which a request hangs that does."""
        self.seen: list[Seen] = []
        self.most_at_once = 0
        self._now = 0
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def take(self, payload: dict[str, Any], headers: dict[str, str]) -> Answer:
        with self._lock:
            answer = self.behave(payload, len(self.seen))
            self.seen.append(Seen(payload, headers, answer))
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        return answer

    def done(self) -> None:
        with self._lock:
            self._now -= 1

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over clients that have gone."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ChatServer

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        payload = json.loads(self.rfile.read(length))
        answer = self.server.take(payload, {name.lower(): value for name, value in self.headers.items()})
        try:
            self._answer(answer)
        finally:
            self.server.done()

    def _answer(self, answer: Answer) -> None:
        time.sleep(self.server.hang if answer.fault == "hang" else answer.latency)
        body = json.dumps(completion(answer)).encode()
        match answer.fault:
            case "":
                self._send(200, body)
            case "hang":
                self.close_connection = True
            case "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                self.connection.close()
            case "cut off":
                self._send(200, body[: len(body) // 2])
            case "no json":
                self._send(200, b"<html>busy</html>")
            case "nested":
                self._send(200, b"[" * 100_000)
            case "wrong schema":
                self._send(200, b'{"choices": "none today", "usage": 7}')
            case "no choices":
                self._send(200, b'{"id": "x", "object": "chat.completion", "choices": []}')
            case "no words":
                self._send(200, json.dumps(completion(answer._replace(text="  "))).encode())
            case status:
                error = {"message": answer.text, "param": answer.param or None}
                self._send(int(status), json.dumps({"error": error}).encode(), answer.retry_after)

    def _send(self, status: int, body: bytes, retry_after: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if retry_after:
            self.send_header("Retry-After", retry_after)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


def completion(answer: Answer) -> dict[str, Any]:
    """Return a chat completion as the protocol has it."""
    message: dict[str, Any] = {"role": "assistant", "content": answer.text}
    if answer.calls:
        message["tool_calls"] = [
            {"id": f"call_{i}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for i, (name, arguments) in enumerate(answer.calls)
        ]
    whole: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": "fake",
        "choices": [{"index": 0, "finish_reason": answer.finish, "message": message}],
    }
    if answer.tokens is not None:
        written = answer.tokens - 10
        whole["usage"] = {"prompt_tokens": 10, "completion_tokens": written, "total_tokens": answer.tokens}
    return whole


@contextmanager
def serving(behave: Behaviour, hang: float = 5.0) -> Iterator[ChatServer]:
    """Run a server beside the test."""
    server = ChatServer(behave, hang)
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def says(text: str) -> Behaviour:
    """Return a server that always says ``text``."""
    return lambda payload, number: Answer(text)


def complains(payload: dict[str, Any], turns: int = 3) -> str:
    """Return what a customer of few words says next: it is satisfied after ``turns`` answers."""
    heard = sum(message["role"] == "user" for message in payload["messages"]) - 1
    if heard >= turns:
        return "Thanks, bye. [end:4]"
    return ("My soup was spilled.", "It was the soup, here is a photo.", "What will you do about it?")[heard % 3]
