"""The ids of the published benchmarks: each opens the part of a copy that it names, and says so without one."""

from __future__ import annotations

import json

import gymnasium as gym
import pytest
from published_files import (
    SUB_DATASETS,
    locomo_conversation,
    longmemeval_instance,
    mab_row,
    perltqa_files,
    write_json,
    write_parquet,
)

import memenvs
from memenvs.benchmarks import benchmarks
from memenvs.errors import DataError
from memenvs.streams.memory_agent_bench import COMPETENCIES

ALL = {one.id: one for one in benchmarks()}


def test_every_benchmark_is_listed_with_its_data_and_is_not_embedded():
    listed = {info.id: info for info in memenvs.envs() if not info.embedded}
    assert listed.keys() == ALL.keys()
    for info in listed.values():
        assert all((info.data, info.questions, info.licence, info.T)), info


def test_every_published_sub_dataset_has_an_id():
    named = [family for one in ALL.values() for family in one.families if one.id.startswith("MemoryAgentBench-")]
    assert sorted(named) == sorted([*SUB_DATASETS, *COMPETENCIES])


def test_what_is_known_of_contamination_is_flagged():
    flagged = {name for name, one in ALL.items() if one.contaminated}
    assert {"Memalpha-NLU-v0", "MemoryAgentBench-TTL-TREC-Coarse-v0", "MemoryAgentBench-AR-v0"} <= flagged
    assert not {"Memalpha-SQuAD-v0", "MemoryAgentBench-CR-v0", "MemoryAgentBench-TTL-Banking77-v0"} & flagged


@pytest.mark.parametrize("name", [name for name in ALL if name.startswith("MemoryAgentBench-")])
def test_an_id_of_memoryagentbench_takes_its_part_of_a_folder(tmp_path, name):
    pytest.importorskip("pyarrow")
    for competency, starts in COMPETENCIES.items():
        rows = [mab_row(source) for source in SUB_DATASETS if source.startswith(starts)]
        write_parquet(tmp_path / f"{competency}-00000-of-00001.parquet", rows)
    data = gym.make(name, data=str(tmp_path)).unwrapped.dataset
    found = {stream.source for stream in data}
    families = ALL[name].families or tuple(COMPETENCIES)
    starts = tuple(start for family in families for start in COMPETENCIES.get(family, (family,)))
    assert found == {source for source in SUB_DATASETS if source.startswith(starts)}


def test_ids_of_the_others_take_their_part(tmp_path):
    kinds = ["multi-session", "temporal-reasoning"]
    rows = [longmemeval_instance(question_type=kind, question_id=kind) for kind in kinds]
    for variant in ("s_cleaned", "oracle"):
        write_json(tmp_path / f"longmemeval_{variant}.json", rows)
    for variant in ("S", "Oracle"):
        env = gym.make(f"LongMemEval-{variant}-Temporal-v0", data=str(tmp_path))
        assert [stream.id for stream in env.unwrapped.dataset] == ["temporal-reasoning"]
    path = write_json(tmp_path / "locomo10.json", [locomo_conversation()])
    env = gym.make("LoCoMo-Adversarial-v0", data=str(path))
    assert [q.source for q in env.unwrapped.dataset[0].questions] == ["locomo-5"]
    env.reset(seed=1)
    perltqa_files(tmp_path)
    env = gym.make("PerLTQA-Events-v0", data=str(tmp_path / "perltmem_en_v2.json"))
    assert [q.source for q in env.unwrapped.dataset[0].questions] == ["perltqa-events"]


@pytest.mark.parametrize(
    "name", ["MemoryAgentBench-CR-v0", "Memalpha-v0", "LongMemEval-S-v0", "LoCoMo-v0", "PerLTQA-v0"]
)
def test_without_network_an_id_says_how_to_give_a_path(monkeypatch, name):
    pytest.importorskip("datasets")
    hub = pytest.importorskip("huggingface_hub")

    def refuse(*_, **__):
        raise TimeoutError("no route")

    monkeypatch.setattr(hub.HfApi, "dataset_info", refuse)
    with pytest.raises(DataError, match="path"):
        gym.make(name)


def test_an_episode_on_a_benchmark(tmp_path):
    env = gym.make("LoCoMo-v0", data=str(write_json(tmp_path / "locomo10.json", [locomo_conversation()])))
    observation, _ = env.reset(seed=1)
    done = False
    while not done:
        insert = json.dumps([{"op": "INSERT", "content": observation["chunk"]}])
        observation, reward, done, _, info = env.step(insert)
    assert [question.source for question in info["questions"]] == [
        "locomo-2",
        "locomo-1",
        "locomo-4",
        "locomo-3",
        "locomo-5",
    ]
    assert 0 < reward < 1
