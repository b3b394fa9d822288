"""Two memories side by side: a run is played in the one of its training, a language model in the one asked for."""

import json

import pytest

pytest.importorskip("torch")
pytest.importorskip("openai")

from endpoint_server import EndpointServer

from trainers.cli import main

SMALL = ["--suite", "builtin", "--T", "4", "--streams", "2"]
THREE_PARTS = "MemAlpha-Memalpha-v0"
CALL = '{"name": "new_memory_insert", "arguments": {"memory_type": "episodic_memory", "content": "Ann moved in 1990."}}'


def evaluate(*arguments):
    main(["evaluate", *map(str, arguments)])


def records(folder, arm):
    return [json.loads(line) for line in (folder / "records" / f"{arm}.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    small = ["--updates", "1", "--group-size", "2", "--eval-streams", "1", "--final-streams", "1", "--T", "5"]
    main(["train", *small, "--out", str(folder / "flat")])
    main(["train", *small, "--env-id", THREE_PARTS, "--out", str(folder / "parts")])
    return folder


def test_runs_of_two_memories_play_the_same_streams_each_in_its_own(runs, tmp_path):
    evaluate(*SMALL, "--agents", runs / "flat", runs / "parts", "--controls", "shuffled", "first", "--out", tmp_path)
    flat, parts = records(tmp_path, "flat"), records(tmp_path, "parts")
    assert [one["fingerprint"] for one in flat] == [one["fingerprint"] for one in parts]
    assert {record["settings"].get("memory", "flat") for record in flat} == {"flat"}
    assert {(r["settings"]["memory"], r["settings"]["dialect"]) for r in parts} == {("memalpha", "memalpha")}
    # What writes no parts writes semantic items there.
    assert {item["id"][0] for record in parts for item in record["memory"]} == {"s"}
    assert any(record["memory"] for record in parts)
    assert "memory memalpha" in json.loads((tmp_path / "table.json").read_text())["arms"]["parts"]


def test_the_shuffled_memory_of_a_run_has_its_parts_too(runs, tmp_path):
    evaluate(*SMALL, "--agent", runs / "parts", "--controls", "shuffled", "--out", tmp_path)
    own = [record["memory"] for record in records(tmp_path, "parts")]
    assert [record["memory"] for record in records(tmp_path, "shuffled-parts")] == own[::-1]


def test_a_model_that_is_hosted_writes_either_memory_in_one_folder(tmp_path):
    with EndpointServer(lambda messages: CALL) as server:
        agent = f"endpoint:{server.address}#rules"
        evaluate(*SMALL, "--agent", agent, "--memory", "memalpha", "--controls", "none", "--out", tmp_path)
        assert "new_memory_insert" in json.dumps(server.requests[0])
    (name,) = [path.stem for path in (tmp_path / "records").iterdir()]
    assert name.endswith("-memalpha")
    assert [item["id"] for item in records(tmp_path, name)[0]["memory"]] == ["e0.0"]
    with EndpointServer(lambda messages: '[{"op": "INSERT", "content": "Ann moved."}]') as server:
        evaluate(*SMALL, "--agent", f"endpoint:{server.address}#rules", "--controls", "none", "--out", tmp_path)
    (other,) = [path.stem for path in (tmp_path / "records").iterdir() if not path.stem.endswith("-memalpha")]
    assert records(tmp_path, other)[0]["memory"][0]["id"] == "0.0"


def test_episodes_in_another_memory_are_not_taken_over(runs, tmp_path):
    evaluate(*SMALL, "--agent", runs / "parts", "--controls", "none", "--out", tmp_path)
    path = tmp_path / "records" / "parts.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        del line["settings"]["memory"]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(SystemExit, match="with the memory 'flat'; now it is 'memalpha'"):
        evaluate(*SMALL, "--agent", runs / "parts", "--controls", "none", "--out", tmp_path)


def test_a_memory_that_an_agent_does_not_write_is_refused(runs, tmp_path):
    for agent, told in (
        (["--agent", "scripted"], "scripted is no language model"),
        (["--agent", runs / "flat"], "was trained with the memory 'flat'"),
        ([], "whose memory is memalpha"),
    ):
        with pytest.raises(SystemExit, match=told):
            evaluate(*SMALL, *agent, "--memory", "memalpha", "--out", tmp_path)
    with pytest.raises(SystemExit, match="--memory needs a suite"):
        evaluate("--memory", "memalpha", "--out", tmp_path)
    assert not list(tmp_path.iterdir())
