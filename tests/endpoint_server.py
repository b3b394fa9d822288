"""An OpenAI-compatible server on loopback that answers by rule and fails as it is told.

In a test: ``with EndpointServer() as server: server.faults = ["429", "drop"]; ... server.address``.
As a process of its own, to be killed: ``python tests/endpoint_server.py --port 8000 --log served.jsonl``.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

Messages = list[dict[str, str]]


def first_note(messages: Messages) -> str:
    """A reader's reply: the last word of the first note, and its number; without notes that it does not know."""
    note = re.search(r"^\[1\] (.+)$", messages[-1]["content"], re.MULTILINE)
    if note is None:
        return '{"answer": "I don\'t know", "evidence": []}'
    return json.dumps({"answer": note.group(1).split()[-1].rstrip("."), "evidence": [1]})


def echo(messages: Messages) -> str:
    """The last message's digest: another text for every prompt."""
    return hashlib.sha256(messages[-1]["content"].encode()).hexdigest()[:8]


def asked(text: str) -> list[dict[str, str]]:
    """A conversation of one message."""
    return [{"role": "user", "content": text}]


def completion(text: str | None, finish_reason: str = "stop", **more: Any) -> dict[str, Any]:
    """The body of a reply: 10 tokens read, 3 written."""
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "rules",
        "choices": [{"index": 0, "finish_reason": finish_reason, "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13},
    } | more


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # connections that wait to be accepted while this process has no processor

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no news."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class EndpointServer:
    """The server, on a free port unless one is given.

    ``faults`` are carried out one per request, in the order of arrival: a status ("429", "500", "400"; with seconds of Retry-After:
    "429 0.2"), "drop" (the connection closes without a word), "cut" (it closes in mid-body), "half" (half of the JSON, properly
    sent), "html", "hang" (no answer until the server ends), "drip" (a byte now and then, never the end; "drip head" in the headers,
    "drip 500" in the text of an error), "cut 500" (it closes in the text of an error), "blank", "none" (a null as text),
    "no choices", "error 200" (an error in a body with status 200), "echo 401" (a refusal that quotes the request's key, also where
    quotes are cut off), "length" (a reply cut off at max_tokens), "" (no fault).
    ``fault_of`` decides by the request instead, where it is set.

    With an ``upstream`` address it is a proxy: what has no fault is passed on and comes back as that server answers it.
    """

    def __init__(
        self,
        answer: Callable[[Messages], str] = echo,
        port: int = 0,
        log: Path | None = None,
        upstream: str | None = None,
    ) -> None:
        self.answer, self.log, self.upstream = answer, log, upstream
        self.models = ["rules"]
        self.faults: list[str] = []
        self.fault_of: Callable[[dict[str, Any]], str] | None = None
        self.requests: list[dict[str, Any]] = []
        self.done = 0
        """Requests that are over: their replies, if any, are on the way."""
        self.most_at_once = 0
        self.gate = threading.Event()
        self.gate.set()
        """Cleared, it holds all replies back."""
        self._now = 0
        self._lock = threading.Lock()
        self._end = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one packet: in two, the second waits 40 ms for an acknowledgement

            def do_GET(self) -> None:
                self.reply(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in outer.models]})

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with outer._lock:
                    outer.requests.append(request)
                    outer._now += 1
                    outer.most_at_once = max(outer.most_at_once, outer._now)
                    fault = outer.faults.pop(0) if outer.faults else ""
                    if outer.fault_of is not None:
                        fault = outer.fault_of(request)
                outer.gate.wait()
                try:
                    outer._handle(self, request, fault)
                finally:
                    with outer._lock:
                        outer._now -= 1
                        outer.done += 1

            def reply(self, status: int, body: Any, headers: dict[str, str] | None = None, send: int = -1) -> None:
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in ({"Content-Type": "application/json"} | (headers or {})).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data if send < 0 else data[:send])
                self.wfile.flush()

            def drip(self) -> None:
                with contextlib.suppress(OSError):  # the client has had enough
                    while not outer._end.wait(0.05):
                        self.wfile.write(b" ")
                        self.wfile.flush()

            def close(self) -> None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

            def log_message(self, *_: object) -> None:
                return

        self.http = _Server(("127.0.0.1", port), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}/v1"

    def _handle(self, handler: Any, request: dict[str, Any], fault: str) -> None:
        body = b"" if fault[:1].isdigit() or fault == "drop" else self._body(request)
        if fault[:1].isdigit():
            status, _, after = fault.partition(" ")
            handler.reply(int(status), {"error": {"message": "as told"}}, {"Retry-After": after} if after else {})
        elif fault == "drop":
            handler.close()
        elif fault == "cut":
            handler.reply(200, body, send=20)
            handler.close()
        elif fault == "half":
            handler.reply(200, body[:60])
        elif fault == "html":
            handler.reply(200, b"<html>maintenance</html>", {"Content-Type": "text/html"})
        elif fault == "hang":
            self._end.wait(60)
        elif fault == "drip":
            handler.reply(200, body + b" " * 10_000, send=20)
            handler.drip()
        elif fault == "drip 500":
            handler.reply(500, b" " * 10_000, send=20)
            handler.drip()
        elif fault == "drip head":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow:")
            handler.drip()
        elif fault == "cut 500":
            handler.reply(500, b" " * 100, send=20)
            handler.close()
        elif fault == "echo 401":
            key = handler.headers["Authorization"]
            handler.reply(401, {"error": {"message": f"wrong key {key}{' ' * (455 - len(key))}{key}"}})
        elif fault in ("blank", "none"):
            handler.reply(200, completion(" \n" if fault == "blank" else None))
        elif fault == "no choices":
            handler.reply(200, {"choices": []})
        elif fault == "error 200":
            handler.reply(200, {"error": {"message": "upstream died", "code": 502}})
        else:
            if self.log is not None:
                with self._lock, self.log.open("a") as file:
                    file.write(json.dumps(request["messages"]) + "\n")
            handler.reply(200, completion(self.answer(request["messages"]), "length") if fault == "length" else body)

    def _body(self, request: dict[str, Any]) -> bytes:
        if self.upstream is None:
            return json.dumps(completion(self.answer(request["messages"]))).encode()
        headers = {"Content-Type": "application/json"}
        call = urllib.request.Request(f"{self.upstream}/chat/completions", json.dumps(request).encode(), headers)
        with urllib.request.urlopen(call, timeout=60) as response:
            return bytes(response.read())

    def __enter__(self) -> EndpointServer:
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self.gate.set()
        self.http.shutdown()
        self.http.server_close()


_HELD: list[socket.socket] = []


def free_port() -> int:
    """A port on which nobody listens, and which the system gives to nobody else while this process lives.

    It is bound but not listened on, so that connections are refused. A server may be bound beside it, as long as it sets
    SO_REUSEADDR, as most do.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    if sys.platform == "linux":  # elsewhere no server could be bound beside it
        _HELD.append(held)
        return int(held.getsockname()[1])
    with held:
        return int(held.getsockname()[1])


def start_process(port: int, log: Path, *more: str) -> subprocess.Popen[bytes]:
    """The server as a process of its own, once it answers; `log` gets a line per request that it answered."""
    command = [sys.executable, __file__, "--port", str(port), "--log", str(log), *more]
    process = subprocess.Popen(command)
    wait_for(f"http://127.0.0.1:{port}/v1/models", process)
    return process


def wait_for(address: str, process: subprocess.Popen[bytes], seconds: float = 600) -> None:
    """Until an address answers with status 200."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        try:
            with urllib.request.urlopen(address, timeout=5) as response:
                if response.status == 200:
                    return
        except OSError:
            threading.Event().wait(0.05)
    raise RuntimeError(f"{address} did not answer within {seconds:g} s")


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--answer", choices=("echo", "first_note"), default="first_note")
    parser.add_argument("--hold-after", type=int, help="further requests get no reply, and hold their connections")
    parser.add_argument("--die-after", type=int, help="end at once, mid-request, when a further request comes")
    given = parser.parse_args()
    answer = {"echo": echo, "first_note": first_note}[given.answer]
    begun = itertools.count(1)

    def until_told(messages: Messages) -> str:
        number = next(begun)
        if given.hold_after is not None and number > given.hold_after:
            threading.Event().wait()
        if given.die_after is not None and number > given.die_after:
            while server.done < given.die_after:
                threading.Event().wait(0.005)
            os.kill(os.getpid(), signal.SIGKILL)
        return answer(messages)

    server = EndpointServer(until_told, given.port, given.log)
    server.http.serve_forever()


if __name__ == "__main__":
    main()
