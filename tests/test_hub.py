"""Data sets of a hub: rows arrive at a commit that is named; what cannot be had is refused, never another commit given for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loopback_hub import run, serving
from published_files import locomo_conversation, longmemeval_instance, mab_row, write_parquet

pytest.importorskip("datasets")
pytest.importorskip("pyarrow")

OLD, NEW = "a" * 40, "c" * 40
MAB = "ai-hyz/MemoryAgentBench"
LOADS = """
import json, sys, warnings
from memenvs.errors import DataError
from memenvs.streams import load
for source, split, settings in json.loads(sys.argv[1]):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            data = load(source, split, **settings)
            told = {"source": data.source, "revision": data.revision, "streams": len(data), "chunk": data[0].chunks[0].text,
                    "fingerprint": data.fingerprint, "split": data.split}
        except DataError as error:
            told = {"error": str(error)}
    told["warned"] = [str(w.message) for w in caught if w.category is UserWarning]
    print("TOLD " + json.dumps(told))
"""


def memalpha_row(number: int, text: str) -> dict[str, Any]:
    return {
        "instance_id": number, "prompt": "not shown", "chunks": json.dumps([text]), "data_source": "squad", "metadata": "{}",
        "questions_and_answers": json.dumps([{"question": "Who?", "answer": "Ann"}]), "num_chunks": 1, "num_questions": 1,
    }  # fmt: skip


def parquet(folder: Path, *rows: dict[str, Any]) -> bytes:
    return write_parquet(folder / "made.parquet", list(rows)).read_bytes()


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, dict[str, bytes]]]:
    made = tmp_path_factory.mktemp("made")
    competencies = {"Accurate_Retrieval": "ruler_qa1_197K", "Conflict_Resolution": "factconsolidation_sh_6k"}

    def mab(context: str) -> dict[str, bytes]:
        files = {
            f"data/{name}-00000-of-00001.parquet": parquet(made, mab_row(source, context))
            for name, source in competencies.items()
        }
        # As on the real card: a split whose file is not downloaded is named here too.
        listed = "".join(f"  - split: {name}\n    path: data/{name}-*\n" for name in competencies)
        return files | {"README.md": f"---\nconfigs:\n- config_name: default\n  data_files:\n{listed}---\n".encode()}

    return {
        MAB: {OLD: mab("Old facts."), NEW: mab("New facts.")},
        "YuWangX/Memalpha": {
            NEW: {
                "train.parquet": parquet(made, memalpha_row(0, "Ann wrote it."), memalpha_row(1, "Bob did not.")),
                "test.parquet": parquet(made, memalpha_row(2, "A test.")),
            }
        },
        "YuWangX/Memalpha-full": {
            NEW: {
                "train/train-00000-of-00002.parquet": parquet(made, memalpha_row(0, "First part.")),
                "train/train-00001-of-00002.parquet": parquet(made, memalpha_row(1, "Second part.")),
            }
        },
        "xiaowu0162/longmemeval-cleaned": {
            NEW: {"longmemeval_s_cleaned.json": json.dumps([longmemeval_instance()]).encode()}
        },
        "someone/locomo": {NEW: {"data/locomo10.json": json.dumps([locomo_conversation()]).encode()}},
    }


@pytest.fixture
def hub(published) -> Iterator[tuple[str, list[str]]]:
    with serving(published) as found:
        yield found


def loads(
    endpoint: str, cache: Path, *wanted: tuple[str, str, dict[str, Any]], **variables: str
) -> list[dict[str, Any]]:
    """What `load` says about each (source, split, settings), in a new process."""
    done = run(LOADS, endpoint, cache, json.dumps(wanted), **variables)
    told = [json.loads(line[5:]) for line in done.stdout.splitlines() if line.startswith("TOLD ")]
    assert len(told) == len(wanted), done.stderr
    return told


def test_every_benchmark_arrives_at_the_commit_that_it_names(hub, tmp_path):
    told = loads(hub[0], tmp_path, ("memalpha", "train", {}), ("YuWangX/Memalpha", "test", {}), ("memalpha-full", "train", {}),
                 ("memoryagentbench", "test", {}), ("longmemeval", "test", {}), ("someone/locomo", "test", {}))  # fmt: skip
    assert [(one.get("source"), one.get("streams"), one.get("split")) for one in told] == [
        ("YuWangX/Memalpha@cccccccccccc", 2, "train"),
        ("YuWangX/Memalpha@cccccccccccc", 1, "test"),
        ("YuWangX/Memalpha-full@cccccccccccc", 2, "train"),
        (f"{MAB}@cccccccccccc", 2, "test"),
        ("xiaowu0162/longmemeval-cleaned@cccccccccccc/s", 1, "test"),
        ("someone/locomo@cccccccccccc", 1, "test"),
    ]
    assert {one["revision"] for one in told} == {NEW}
    assert [one["chunk"] for one in told[:4]] == ["Ann wrote it.", "A test.", "First part.", "New facts."]
    assert all(len(one["warned"]) == 1 and f"revision='{NEW}' pins it" in one["warned"][0] for one in told)


def test_a_commit_pins_the_content_without_a_warning_and_only_what_is_needed_is_downloaded(hub, tmp_path):
    endpoint, asked = hub
    settings = {"families": ["factconsolidation"]}
    at = [(MAB, "test", settings | {"revision": OLD}), ("memoryagentbench@main", "test", settings)]
    old, new = loads(endpoint, tmp_path, *at)
    assert (old["revision"], old["chunk"], old["warned"]) == (OLD, "Old facts.", [])
    assert (new["revision"], new["chunk"], new["warned"]) == (NEW, "New facts.", [])
    assert old["fingerprint"] != new["fingerprint"]
    assert any("Conflict_Resolution" in line for line in asked)
    assert not any("Accurate_Retrieval" in line for line in asked)


def test_what_the_hub_does_not_have_is_refused_by_name(hub, tmp_path):
    at = [(MAB, "test", {"revision": revision}) for revision in (OLD, "b" * 40, "v9")]
    others = [("nobody/nothing", "train", {}), ("memalpha", "dev", {}), ("longmemeval", "test", {"variant": "m"})]
    found = loads(hub[0], tmp_path, *at, *others)
    errors = [one.get("error", "") for one in found[1:]]
    assert f"'{MAB}' has no revision '{'b' * 40}'" in errors[0]
    assert f"cached here: {OLD}" in errors[0]
    assert "has no revision 'v9'; expected a commit (40 hex digits), branch or tag of it" in errors[1]
    assert "the hub has no data set 'nobody/nothing', or it needs a login" in errors[2]
    assert "YuWangX/Memalpha@cccccccccccc has no split 'dev'; it has: " in errors[3]
    assert "has no file 'longmemeval_m_cleaned.json'; it has: longmemeval_s_cleaned.json" in errors[4]


@pytest.mark.slow
def test_without_network_what_is_cached_works_and_no_other_commit_takes_its_place(published, tmp_path):
    with serving(published) as (endpoint, asked):
        first = loads(endpoint, tmp_path, (MAB, "test", {"revision": NEW}), ("memalpha", "train", {"revision": NEW}))
        asked.clear()
        wanted = [(MAB, "test", {"revision": NEW}), ("memalpha", "train", {"revision": NEW}), (MAB, "test", {"revision": OLD}),
                  (MAB, "test", {})]  # fmt: skip
        offline = loads(endpoint, tmp_path, *wanted, HF_HUB_OFFLINE="1")
        assert asked == []
    gone = loads(endpoint, tmp_path, *wanted[:2], wanted[3])
    assert offline[:2] == gone[:2] == first
    for error in (offline[2]["error"], offline[3]["error"], gone[2]["error"]):
        assert "could not be loaded" in error
        assert "give the path of a downloaded copy as data, or the commit of a cached one as revision" in error
        assert f"cached here: {NEW}" in error
    assert OLD in offline[2]["error"]


def test_results_name_the_commit(hub, tmp_path):
    code = f"""
import json, gymnasium as gym, memenvs
from trainers.provenance import facts
env = gym.make("MemoryAgentBench-CR-FactSH-6K-v0", data_settings={{"revision": "{OLD}"}})
observation, info = env.reset(seed=0)
env.step('[{{"op": "SKIP"}}]')
found = facts(env)
print("TOLD " + json.dumps([found["data"], found["revision"], env.unwrapped.record.settings["data"]]))
"""
    done = run(code, hub[0], tmp_path)
    line = next((line for line in done.stdout.splitlines() if line.startswith("TOLD ")), done.stderr)
    data, revision, recorded = json.loads(line[5:])
    assert (data, revision, recorded) == (f"{MAB}@aaaaaaaaaaaa", OLD, f"{MAB}@aaaaaaaaaaaa")
