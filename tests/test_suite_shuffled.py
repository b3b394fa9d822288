"""Whose memory the shuffled arm of a suite shows, and that nobody makes it twice."""

import json

import pytest

pytest.importorskip("openai")

from endpoint_server import EndpointServer

from memenvs.reading import ExtractiveReader
from trainers.cli import main
from trainers.suites.arms import play
from trainers.suites.catalogue import SUITES
from trainers.suites.later import Later
from trainers.suites.plan import chosen_arms, make_plan
from trainers.suites.run import read_suite
from trainers.workers import Workers

SMALL = ["--suite", "builtin", "--T", "4", "--streams", "3"]


def records(folder, arm):
    return [json.loads(line) for line in (folder / "records" / f"{arm}.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("agents", "controls", "shuffled", "whose"),
    [
        (["scripted"], ["all"], "shuffled-scripted", "scripted"),
        (["scripted", "random"], ["shuffled"], "shuffled-scripted", "scripted"),
        (["nothing", "oracle_evidence", "random"], ["shuffled"], "shuffled-random", "random"),
        (["keep_everything"], ["all"], "shuffled", "keep_everything"),
        ([], ["all"], "shuffled", "keep_everything"),
        (["nothing"], ["shuffled"], "shuffled", "keep_everything"),
    ],
)
def test_the_first_agent_with_a_memory_of_its_own_is_shuffled(agents, controls, shuffled, whose):
    found = chosen_arms(agents, controls)
    assert [name for name, arm in found.items() if arm.shuffled] == [shuffled]
    assert found[shuffled].note == f"the memory that {whose} made of another stream"


@pytest.mark.parametrize("workers", [0, 2])
def test_shuffled_shows_the_memory_that_was_made(workers, tmp_path):
    names = ["random", "rag", "shuffled", "shuffled:rag", "first", "keep_everything"]
    plan = make_plan(SUITES["builtin"], ["random"], names, {"T": 4}, ExtractiveReader(), 4, seed=3)
    assert {"shuffled-random", "shuffled-rag"} <= set(plan.arms)
    read_suite(plan, tmp_path, workers=Workers(workers))
    for name, arm in plan.arms.items():
        for index, record in enumerate(records(tmp_path, name)):
            budget = record["settings"].get("budget")
            alone = play(
                arm, plan.dataset, index, plan.settings, Later("extractive"), 3, budget, streams=range(plan.streams)
            )
            expected = json.loads(alone.to_json())
            for part in ("stream_id", "fingerprint", "memory", "steps", "metadata"):
                assert record[part] == expected[part]
            assert [q["retrieved"] for q in record["questions"]] == [q["retrieved"] for q in expected["questions"]]
            own = {"suite", "agent", "costs"}
            facts = [{k: v for k, v in one["settings"].items() if k not in own} for one in (record, expected)]
            assert facts[0] == facts[1]


def test_a_model_is_asked_once_per_chunk_whatever_is_shuffled(tmp_path):
    def note(messages):
        return json.dumps([{"op": "INSERT", "content": f"note {len(str(messages))}"}])

    with EndpointServer(note) as server:
        agent = ["--agent", f"endpoint:{server.address}#rules"]
        main(["evaluate", *SMALL, *agent, "--controls", "shuffled", "--out", str(tmp_path)])
        assert len(server.requests) == 3 * 4
    rows = {row["agent"]: row for row in json.loads((tmp_path / "table.json").read_text())["rows"]}
    (shuffled,) = [row for name, row in rows.items() if name.startswith("shuffled")]
    (own,) = [row for name, row in rows.items() if not name.startswith("shuffled")]
    assert own["costs"]["manager_answered"] == 12
    assert "manager_answered" not in shuffled["costs"]
    assert shuffled["memory_tokens"] == own["memory_tokens"]


def test_messages_that_no_one_can_read_stay_so_in_the_shuffled_memory(tmp_path):
    # The record keeps the beginning of a message that is too long: a whole operation here.
    long = '[{"op": "INSERT", "content": "Ann"}]' + " " * 70_000
    with EndpointServer(lambda messages: long) as server:
        agent = ["--agent", f"endpoint:{server.address}#rules"]
        main(["evaluate", *SMALL, *agent, "--controls", "shuffled", "--out", str(tmp_path)])
    for path in (tmp_path / "records").iterdir():
        for record in records(tmp_path, path.stem):
            assert record["memory"] == []
            assert all(step["error"] is not None for step in record["steps"])
