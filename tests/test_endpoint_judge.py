"""A model behind a server as judge: verdicts kept, failures never a verdict."""

from __future__ import annotations

import pickle

import pytest

pytest.importorskip("openai")

from endpoint_server import EndpointServer
from fake_clock import FakeClock

from memenvs.endpoint import ChatEndpoint, ChatSettings
from memenvs.errors import ScorerError, SettingsError
from memenvs.scoring import EndpointJudge, make_judge, score


@pytest.fixture
def server():
    with EndpointServer(lambda messages: "yes" if "Rome" in messages[-1]["content"] else "no") as made:
        yield made


def judge(server: EndpointServer, **settings: object) -> EndpointJudge:
    return EndpointJudge(ChatEndpoint(ChatSettings(server.address, "rules", **settings), FakeClock()))


def test_each_prompt_is_one_user_message_and_equal_ones_cost_one_call(server):
    made = judge(server)
    assert made.replies(["Is it Rome?", "Is it Oslo?", "Is it Rome?"]) == ["yes", "no", "yes"]
    assert made.name == "rules"
    assert sorted(str(request["messages"]) for request in server.requests) == [
        "[{'role': 'user', 'content': 'Is it Oslo?'}]",
        "[{'role': 'user', 'content': 'Is it Rome?'}]",
    ]
    assert (made.usage.answered, made.usage.cached) == (2, 1)


def test_it_stands_behind_a_published_rubric(server):
    judged = {"judge": judge(server), "question": "Where did I go?", "kind": "multi-session"}
    assert score("To Rome", ("Genoa",), "longmemeval_s*", "mab", **judged) == 1.0
    assert score("To Oslo", ("Genoa",), "longmemeval_s*", "mab", **judged) == 0.0


def test_a_failure_says_how_many_failed_and_what_was_answered_is_kept(server, tmp_path):
    settings = {"cache": tmp_path / "verdicts.sqlite", "max_retries": 0}
    server.fault_of = lambda request: "500" if "bad" in request["messages"][0]["content"] else ""
    with pytest.raises(ScorerError, match="'rules' gave no reply to 2 of 3 prompts; the first: server_error"):
        judge(server, **settings).replies(["Rome", "bad Rome", "bad"])
    server.fault_of = None
    again = judge(server, **settings)
    assert again.replies(["Rome", "bad Rome", "bad"]) == ["yes", "yes", "no"]
    assert (again.usage.cached, again.usage.answered) == (1, 2)


def test_thoughts_are_no_verdict(server):
    server.answer = lambda messages: "<think>yes? no.</think>\n\nno"
    assert judge(server).replies(["?"]) == ["no"]
    server.answer = lambda messages: "<think>yes, I"
    with pytest.raises(ScorerError, match="no verdict; raise max_tokens"):
        judge(server).replies(["?"])


def test_a_judge_is_made_from_an_address(server):
    made = make_judge(f"{server.address}#rules", max_tokens=10)
    assert made.replies(["Rome"]) == ["yes"]
    assert server.requests[0]["max_tokens"] == 10
    assert make_judge(made) is made
    assert pickle.loads(pickle.dumps(made)).name == "rules"
    for wrong, message in (("gpt-4o", "address of a server"), (3, "a judge needs a name and replies")):
        with pytest.raises(SettingsError, match=message):
            make_judge(wrong)
    with pytest.raises(SettingsError, match="only a judge at an address takes settings"):
        make_judge(made, timeout=1)
