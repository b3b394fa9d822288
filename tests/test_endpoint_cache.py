"""One request, one call: in flight, in memory, in a file that processes share; and replay from that file."""

from __future__ import annotations

import copy
import json
import multiprocessing
import pickle
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("openai")

from endpoint_server import asked, echo
from fake_clock import FakeClock

from memenvs.endpoint import ChatEndpoint, ChatSettings, EndpointError, Failure, Reply, ReplyCache, request_key
from memenvs.errors import SettingsError


def test_equal_requests_in_flight_cost_one_call(server):
    settings = ChatSettings(server.address, "rules", concurrency=8)
    models = [ChatEndpoint(settings) for _ in range(3)]
    server.gate.clear()
    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(model.complete, [asked("same")] * 4) for model in models]
        while not server.requests:
            threading.Event().wait(0.01)
        server.gate.set()
        replies = [reply for future in futures for reply in future.result()]
    assert replies == [Reply(echo(asked("same")), "stop", 10, 3)] * 12
    assert len(server.requests) == 1
    assert sum(model.usage.answered for model in models) == 1
    assert sum(model.usage.cached for model in models) == 11
    assert sum(model.usage.prompt_tokens for model in models) == 10


def test_a_failure_in_flight_is_everybodys_failure_and_paid_once(server):
    model = ChatEndpoint(ChatSettings(server.address, "rules"), FakeClock())
    server.gate.clear()
    server.faults = ["blank"]
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(model.complete, [asked("same")] * 4)
        while len(server.requests) < 1:
            threading.Event().wait(0.01)
        server.gate.set()
        outcomes = future.result()
    failed = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    # Those who asked while it was under way share it; who asks after it asks anew.
    assert failed
    assert model.usage.requests == 4
    assert model.usage.failed == {"no_text": len(failed)}
    assert model.usage.prompt_tokens == 10 * len(server.requests)


def test_replies_are_remembered_and_the_hit_rate_tells(server):
    model = ChatEndpoint(ChatSettings(server.address, "rules"))
    model.complete([asked(str(n)) for n in range(4)])
    model.complete([asked(str(n)) for n in range(6)])
    assert len(server.requests) == 6
    assert (model.usage.requests, model.usage.answered, model.usage.cached, model.usage.hit_rate) == (10, 6, 4, 0.4)


def test_usage_is_counted_apart_on_a_shared_line(server):
    first = ChatEndpoint(ChatSettings(server.address, "rules"))
    first.complete([asked("q")])
    second = first.with_own_usage()
    second.complete([asked("q"), asked("r")])
    assert (first.usage.answered, second.usage.answered, second.usage.cached) == (1, 1, 1)
    assert len(server.requests) == 2


def test_cost_follows_from_prices(server):
    model = ChatEndpoint(ChatSettings(server.address, "rules", price_in=2.0, price_out=8.0))
    model.complete([asked(str(n)) for n in range(5)])
    assert model.usage.cost == pytest.approx((50 * 2 + 15 * 8) / 1e6)
    assert json.loads(json.dumps(model.usage.to_json()))["cost"] == pytest.approx(2.2e-4)
    assert ChatEndpoint(ChatSettings(server.address, "rules")).usage.cost is None


def test_an_endpoint_may_be_pickled_and_copied(server):
    model = ChatEndpoint(ChatSettings(server.address, "rules"))
    model.complete([asked("q")])
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert other.complete([asked("q")]) == model.complete([asked("q")])
        assert (other.usage.cached, other.usage.answered) == (1, 0)
    assert len(server.requests) == 1


def test_the_file_answers_after_the_process_has_gone(server, tmp_path):
    settings = ChatSettings(server.address, "rules", cache=tmp_path / "new" / "replies.sqlite")
    first = ChatEndpoint(settings, FakeClock()).complete([asked("q"), asked("r")])
    again = ChatEndpoint(settings, FakeClock())
    assert again.complete([asked("q"), asked("r")]) == first
    assert (again.usage.cached, len(server.requests), len(ReplyCache(settings.cache))) == (2, 2, 2)


def test_failures_are_not_kept(server, tmp_path):
    settings = ChatSettings(server.address, "rules", cache=tmp_path / "replies.sqlite", max_retries=0)
    server.faults = ["500", "blank", "html"]
    model = ChatEndpoint(settings, FakeClock())
    assert [model.complete([asked("q")])[0].kind for _ in range(3)] == ["server_error", "no_text", "bad_body"]
    assert len(ReplyCache(settings.cache)) == 0
    assert isinstance(model.complete([asked("q")])[0], Reply)


def test_replay_answers_from_the_file_and_fails_on_a_miss_naming_the_key(server, tmp_path):
    settings = ChatSettings(server.address, "rules", cache=tmp_path / "replies.sqlite")
    kept = ChatEndpoint(settings, FakeClock()).complete([asked("known")])
    replay = ChatEndpoint(ChatSettings(server.address, "rules", cache=settings.cache, replay=True))
    hit, miss = replay.complete([asked("known"), asked("never asked")])
    assert hit == kept[0]
    assert miss.kind == "not_in_cache"
    assert miss.key == request_key("rules", settings.parameters, asked("never asked"))
    assert miss.key in miss.message
    assert "never asked" in miss.message
    assert len(server.requests) == 1
    assert replay.usage.failed == {"not_in_cache": 1}


def test_what_could_change_a_reply_changes_the_key(server, tmp_path):
    def ask(**more):
        settings = {"model": "rules", "cache": tmp_path / "replies.sqlite"} | more
        ChatEndpoint(ChatSettings(server.address, **settings), FakeClock()).complete([asked("q")])
        return len(server.requests)

    assert ask() == 1
    assert ask(timeout=70.0, concurrency=1, price_in=1.0, patience=1.0) == 1
    changes = [{"temperature": 0.7}, {"max_tokens": 5}, {"extra": {"seed": 1}}, {"sample": 1}, {"model": "other"}]
    assert [ask(**change) for change in changes] == [2, 3, 4, 5, 6]
    assert [ask(**change) for change in changes] == [6] * 5


texts = st.text(max_size=8)


@given(texts, st.dictionaries(texts, st.integers() | texts, max_size=3), st.lists(texts, max_size=3), st.integers(0, 3))
def test_a_key_does_not_hang_on_the_order_of_names(model, parameters, said, sample):
    messages = [{"role": "user", "content": text} for text in said]
    turned = [dict(reversed(message.items())) for message in messages]
    key = request_key(model, parameters, messages, sample)
    assert key == request_key(model, dict(reversed(parameters.items())), turned, sample)
    assert key != request_key(model, parameters, [*messages, {"role": "user", "content": "more"}], sample)
    assert key != request_key(model, parameters, messages, sample + 1)


def test_a_key_is_the_same_in_every_process():
    code = "from memenvs.endpoint import request_key as k; print(k('m', {'a': 1, 'b': 2}, [{'role': 'u', 'content': 'ö'}]))"
    run = [subprocess.run([sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True)
           for seed in ("1", "2")]  # fmt: skip
    here = request_key("m", {"b": 2, "a": 1}, [{"content": "ö", "role": "u"}])
    assert [done.stdout.strip() for done in run] == [here, here]


def test_the_first_reply_stays(tmp_path):
    cache = ReplyCache(tmp_path / "replies.sqlite")
    assert cache.put("k", "m", Reply("first", "stop", 1, 1)) == Reply("first", "stop", 1, 1)
    assert ReplyCache(cache.path).put("k", "m", Reply("second")) == Reply("first", "stop", 1, 1)
    assert cache.get("k") == Reply("first", "stop", 1, 1)


def test_who_comes_second_goes_on_with_the_first_reply(server, tmp_path):
    settings = ChatSettings(server.address, "rules", cache=tmp_path / "replies.sqlite")
    key = request_key("rules", settings.parameters, asked("q"))

    def overtaken(messages) -> str:
        ReplyCache(settings.cache).put(key, "rules", Reply("another process's", "length", 99, 99))
        return "ours"

    server.answer = overtaken
    model = ChatEndpoint(settings)
    # Its text, our costs.
    assert model.complete([asked("q")]) == [Reply("another process's", "length", 10, 3)]
    assert model.usage.prompt_tokens == 10


@pytest.mark.parametrize(
    "table", ["replies (something TEXT)", "users (name TEXT)", "replies (key, model, reply, more)"]
)
@pytest.mark.parametrize("read_only", [False, True])
def test_somebody_elses_database_is_refused_and_left_as_it_is(tmp_path, table, read_only):
    path = tmp_path / "theirs.sqlite"
    with sqlite3.connect(path) as other:
        other.execute(f"CREATE TABLE {table}")
    other.close()
    before = path.read_bytes()
    with pytest.raises(SettingsError, match=rf"got an SQLite file that holds {table.split()[0]}; name another file"):
        ReplyCache(path, read_only)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"no database at all, but long enough to be read as one" * 20, b"SQLite format 3\0" + b"x" * 50]
)
@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_that_is_no_cache_is_refused(tmp_path, content, read_only):
    path = tmp_path / "replies.sqlite"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match="expected a reply cache or a place for one"):
        ReplyCache(path, read_only)


def _fill(path: Path, worker: int) -> list[str]:
    cache = ReplyCache(path)
    return [cache.put(f"{n}", "m", Reply(f"{worker}")).text for n in range(200)]


def test_several_processes_share_a_file_and_agree(tmp_path):
    path = tmp_path / "replies.sqlite"
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
        seen = [future.result() for future in [pool.submit(_fill, path, worker) for worker in range(4)]]
    assert seen[0] == seen[1] == seen[2] == seen[3]
    assert len(ReplyCache(path)) == 200


def _open_at_once(path: Path, together: threading.Barrier, results: multiprocessing.SimpleQueue) -> None:
    together.wait()
    try:
        ReplyCache(path)
    except Exception as error:
        results.put(repr(error))
    else:
        results.put("opened")


def test_processes_may_make_the_file_at_the_same_moment(tmp_path):
    context = multiprocessing.get_context("fork")
    for number in range(15):
        together, results = context.Barrier(12), context.SimpleQueue()
        arguments = (tmp_path / f"{number}.sqlite", together, results)
        children = [context.Process(target=_open_at_once, args=arguments) for _ in range(12)]
        for child in children:
            child.start()
        for child in children:
            child.join(120)
        assert [results.get() for _ in children] == ["opened"] * 12


def test_a_file_that_another_process_holds_is_waited_for(tmp_path):
    path = tmp_path / "replies.sqlite"
    other = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    threading.Timer(0.3, lambda: other.execute("ROLLBACK")).start()
    assert len(ReplyCache(path)) == 0
    other.close()


def test_a_cache_that_fails_later_fails_the_request_as_a_whole(tmp_path):
    cache = ReplyCache(tmp_path / "replies.sqlite")
    with sqlite3.connect(cache.path) as other:
        other.execute("DROP TABLE replies")
    for use in (lambda: cache.get("k"), lambda: cache.put("k", "m", Reply("x"))):
        with pytest.raises(EndpointError, match=r"the reply cache .*replies.sqlite failed: OperationalError"):
            use()


def _ask_forked(model: ChatEndpoint, results: multiprocessing.SimpleQueue) -> None:
    results.put([reply.text for reply in model.complete([asked("q"), asked("child")])])


def test_a_forked_process_does_not_wait_for_what_its_parent_asks(server):
    model = ChatEndpoint(ChatSettings(server.address, "rules"))
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    child = context.Process(target=_ask_forked, args=(model, results))
    server.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(model.complete, [asked("q")])
        while not server.requests:
            threading.Event().wait(0.01)
        child.start()
        server.gate.set()
        assert asking.result()[0].text == echo(asked("q"))
    child.join(120)
    child.kill()
    assert child.exitcode == 0
    assert results.get() == [echo(asked("q")), echo(asked("child"))]


def test_an_endpoint_works_on_in_a_forked_process(server, tmp_path):
    model = ChatEndpoint(ChatSettings(server.address, "rules", cache=tmp_path / "replies.sqlite"))
    model.complete([asked("q")])
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    child = context.Process(target=_ask_forked, args=(model, results))
    child.start()
    child.join(120)
    assert child.exitcode == 0
    assert results.get() == [echo(asked("q")), echo(asked("child"))]
    assert model.complete([asked("child")])[0].text == echo(asked("child"))
    assert len(server.requests) == 2
