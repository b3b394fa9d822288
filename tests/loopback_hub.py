"""A Hugging Face hub on loopback with data sets from given files: as much of one as `datasets` and `huggingface_hub` ask for.

with serving({"org/name": {"c" * 40: {"data/train.parquet": b"..."}}}) as (endpoint, asked):
    run("print(1)", endpoint, cache)  # a process of its own that knows no other hub
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

Published = Mapping[str, Mapping[str, Mapping[str, bytes]]]
"""Data set -> commit -> file -> content; the last commit is ``main``."""


class _Hub(BaseHTTPRequestHandler):
    """Answers about data sets, revisions, trees and files."""

    published: Published
    asked: list[str]

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def log_message(self, *args: Any) -> None:
        """Nothing is logged."""

    def _answer(self, body: bytes = b"") -> None:
        path = unquote(urlsplit(self.path).path)
        self.asked.append(f"{self.command} {path}")
        name = next((name for name in self.published if f"/datasets/{name}/" in f"{path}/"), "")
        commits = self.published.get(name, {})
        what, _, rest = path.partition(f"/datasets/{name}")[2].strip("/").partition("/")
        revision, _, file = rest.partition("/")
        commit = list(commits)[-1] if commits and revision in ("", "main") else revision
        if not commits:
            self._refuse("RepoNotFound")
        elif commit not in commits:
            self._refuse("RevisionNotFound")
        elif path.startswith("/api/"):
            self._json(self._about(name, commit, what, file, body))
        elif file not in commits[commit]:
            self._refuse("EntryNotFound", commit)
        else:
            content = commits[commit][file]
            self._send(content, {"X-Repo-Commit": commit, "ETag": f'"{_oid(content)}"', "Accept-Ranges": "bytes"})

    def _about(self, name: str, commit: str, what: str, folder: str, body: bytes) -> Any:
        files = self.published[name][commit]
        entries = [_entry(path, content) for path, content in files.items()]
        if what == "tree":
            return _tree(entries, folder, "recursive=true" in self.path.lower())
        if what == "paths-info":
            wanted = json.loads(body)["paths"] if body.startswith(b"{") else dict(parse_qsl(body.decode())).values()
            return [entry for entry in entries if entry["path"] in wanted]
        siblings = [{"rfilename": path} for path in files]
        return {"id": name, "sha": commit, "siblings": siblings, "private": False, "tags": []}

    def _json(self, content: Any) -> None:
        self._send(json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _refuse(self, code: str, commit: str = "") -> None:
        headers = {"X-Error-Code": code, "X-Error-Message": code} | ({"X-Repo-Commit": commit} if commit else {})
        self._send(json.dumps({"error": code}).encode(), headers, 404)

    def _send(self, content: bytes, headers: Mapping[str, str], status: int = 200) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _oid(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def _entry(path: str, content: bytes) -> dict[str, Any]:
    return {"type": "file", "path": path, "size": len(content), "oid": _oid(content)}


def _tree(entries: list[dict[str, Any]], folder: str, recursive: bool) -> list[dict[str, Any]]:
    """What a folder holds: files and folders, or with ``recursive`` those of its folders too."""
    begin = f"{folder}/" if folder else ""
    within = [entry for entry in entries if entry["path"].startswith(begin)]
    names = [PurePosixPath(entry["path"]).parents for entry in within]
    folders = sorted(
        {str(name) for parents in names for name in parents if str(name).startswith(begin) and str(name) != "."}
    )
    found = [{"type": "directory", "path": name, "size": 0, "oid": _oid(name.encode())} for name in folders] + within
    return found if recursive else [entry for entry in found if "/" not in entry["path"].removeprefix(begin)]


@contextmanager
def serving(published: Published) -> Iterator[tuple[str, list[str]]]:
    """(its address, what it was asked so far)."""
    handler = type("Hub", (_Hub,), {"published": published, "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", handler.asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def run(code: str, endpoint: str, cache: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own, with the hub at ``endpoint`` and all caches in ``cache``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING_FACE"))}
    settings = {
        "HF_ENDPOINT": endpoint, "HF_HOME": str(cache), "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1",
    }  # fmt: skip
    command = [sys.executable, "-c", code, *arguments]
    env = kept | settings | variables
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
