"""Caches that fail: what was paid for is counted and answered; what cannot be read says where and why. Replay writes nothing."""

from __future__ import annotations

import gc
import json
import sqlite3
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

pytest.importorskip("openai")

from endpoint_server import asked, echo
from fake_clock import FakeClock

from memenvs.endpoint import ChatEndpoint, ChatSettings, EndpointError, Reply, ReplyCache, request_key
from memenvs.errors import SettingsError

# A real file that cannot grow: what a full disk is to SQLite.
FULL = """
import json, resource, sys
from pathlib import Path
from memenvs.endpoint import ChatEndpoint, ChatSettings, EndpointError, ReplyCache
address, cache = sys.argv[1], Path(sys.argv[2])
conversations = [[{"role": "user", "content": str(n)}] for n in range(6)]
model = ChatEndpoint(ChatSettings(address, "m", cache=cache, concurrency=3))
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, most))
said, asked = [], []
for attempt in range(7):
    try:
        model.complete(conversations)
        break
    except EndpointError as error:
        said.append(str(error))
        asked.append(model.usage.answered)
full = model.usage.to_json()
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
model.complete([[{"role": "user", "content": "room again"}]])
print(json.dumps([said, asked, full, len(ReplyCache(cache))]))
"""


def test_replies_that_cannot_be_written_are_paid_for_once_and_written_when_there_is_room(server, tmp_path):
    server.answer = lambda messages: echo(messages) * 500
    path = tmp_path / "replies.sqlite"
    done = subprocess.run(
        [sys.executable, "-c", FULL, server.address, str(path)], capture_output=True, text=True, check=True
    )
    said, answered, usage, kept = json.loads(done.stdout)
    # Each call ends with the first error, and asks only for what the ones before it did not get.
    assert said
    assert all("failed: OperationalError" in one and "whether the disk has room" in one for one in said)
    assert answered == sorted(set(answered))
    assert (usage["answered"], usage["prompt_tokens"], usage["failed"]) == (6, 60, {})
    assert sorted(request["messages"][0]["content"] for request in server.requests) == [*"012345", "room again"]
    assert kept == 7


def test_those_under_way_are_remembered_when_the_file_fails(server, tmp_path):
    """The first reply cannot be written; the second, which comes after it, is not lost and not asked for again."""
    settings = ChatSettings(server.address, "m", cache=tmp_path / "replies.sqlite", concurrency=2)
    model = ChatEndpoint(settings)
    model.complete([asked("the file is open now")])
    first_done = threading.Event()

    def answer(messages) -> str:
        if messages == asked("second"):
            first_done.wait(10)
            threading.Event().wait(0.1)
        else:
            with sqlite3.connect(settings.cache) as other:
                other.execute("ALTER TABLE replies RENAME TO gone")
            first_done.set()
        return echo(messages)

    server.answer = answer
    with pytest.raises(EndpointError, match=r"replies.sqlite failed: OperationalError: no such table"):
        model.complete([asked("first"), asked("second")])
    assert model.usage.answered == 3
    assert [reply.text for reply in model.complete([asked("first"), asked("second")])] == [
        echo(asked("first")),
        echo(asked("second")),
    ]
    assert len(server.requests) == 3


BAD_ROWS = {
    "{bad": "JSONDecodeError",
    '{"text": "a", "newer": 1}': "TypeError",
    "[]": "TypeError",
    '{"text": null}': "TypeError",
}


@pytest.mark.parametrize("row", BAD_ROWS)
def test_a_row_that_cannot_be_read_names_file_key_and_way_out(server, tmp_path, row):
    settings = ChatSettings(server.address, "m", cache=tmp_path / "replies.sqlite")
    ChatEndpoint(settings, FakeClock()).complete([asked("q")])
    with sqlite3.connect(settings.cache) as other:
        other.execute("UPDATE replies SET reply = ?", (row,))
    key = request_key("m", settings.parameters, asked("q"))
    with pytest.raises(EndpointError, match=BAD_ROWS[row]) as caught:
        ChatEndpoint(settings, FakeClock()).complete([asked("q")])
    assert str(settings.cache) in str(caught.value)
    (way_out,) = [part for part in str(caught.value).replace("(", ")").split(")") if part.startswith("DELETE")]
    assert key in way_out
    with sqlite3.connect(settings.cache) as other:
        other.execute(way_out)
    assert isinstance(ChatEndpoint(settings, FakeClock()).complete([asked("q")])[0], Reply)


def test_a_file_that_is_damaged_later_says_so(tmp_path):
    cache = ReplyCache(tmp_path / "replies.sqlite")
    for n in range(300):
        cache.put(f"{n}", "m", Reply("x" * 100))
    del cache
    gc.collect()
    damaged = bytearray((tmp_path / "replies.sqlite").read_bytes())
    damaged[4096:] = b"Z" * (len(damaged) - 4096)
    (tmp_path / "replies.sqlite").write_bytes(damaged)
    cache = ReplyCache(tmp_path / "replies.sqlite")
    for use in (lambda: cache.get("7"), lambda: cache.put("new", "m", Reply("x"))):
        with pytest.raises(EndpointError, match=r"replies.sqlite failed: DatabaseError: .* malformed; see whether"):
            use()


def fill(path: Path) -> None:
    ReplyCache(path).put("k", "m", Reply("kept", "stop", 1, 2))
    gc.collect()  # a connection of sqlite3 is part of a cycle


def test_replay_from_a_file_that_is_not_there_is_refused_and_makes_none(tmp_path):
    with pytest.raises(SettingsError, match=r"there is no cache of replies at .*typo.sqlite; replay answers from one"):
        ChatEndpoint(ChatSettings("http://127.0.0.1:1/v1", "m", cache=tmp_path / "new" / "typo.sqlite", replay=True))
    assert list(tmp_path.iterdir()) == []


def test_replay_writes_nothing_beside_the_file(tmp_path):
    fill(tmp_path / "replies.sqlite")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert list(before) == ["replies.sqlite"]
    cache = ReplyCache(tmp_path / "replies.sqlite", read_only=True)
    assert (cache.get("k"), cache.get("other"), len(cache)) == (Reply("kept", "stop", 1, 2), None, 1)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


READ = """
import os, sys
from pathlib import Path
from memenvs.endpoint import ReplyCache
cache = Path(sys.argv[1])
if os.getuid() == 0:  # who may write anywhere
    try:
        os.setuid(65534)
    except OSError as error:
        sys.exit(f"no other user: {error}")
    if not os.access(cache, os.R_OK):
        sys.exit(f"no other user may read {cache}")
assert not os.access(cache.parent, os.W_OK)
print(ReplyCache(cache, read_only=True).get("k").text)
"""


def test_replay_needs_no_folder_that_may_be_written_to():
    # Not in tmp_path, which nobody else may enter.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder / "replies.sqlite")
        folder.chmod(0o555)
        try:
            done = subprocess.run(
                [sys.executable, "-c", READ, str(folder / "replies.sqlite")],
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            folder.chmod(0o755)
    if done.stderr.startswith("no other user"):
        pytest.skip(done.stderr)
    assert (done.stdout, done.stderr) == ("kept\n", "")


def test_replay_sees_what_another_process_is_writing(tmp_path):
    path = tmp_path / "replies.sqlite"
    fill(path)
    writer = ReplyCache(path)
    reader = ReplyCache(path, read_only=True)
    writer.put("later", "m", Reply("also"))
    assert reader.get("later") == Reply("also")
    del writer
    gc.collect()
    assert not path.with_name("replies.sqlite-wal").exists()
    assert (reader.get("k").text, reader.get("later").text) == ("kept", "also")
    again = ReplyCache(path)
    again.put("last", "m", Reply("too"))
    assert reader.get("last") == Reply("too")
