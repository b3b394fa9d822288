"""MemoryAgentBench's chunks in the messages that its agents get: to the letter, at times that every run shares."""

from __future__ import annotations

import hashlib

import pytest
from published_files import SUB_DATASETS, mab_row, write_parquet

from memenvs.errors import SettingsError
from memenvs.streams import load
from memenvs.streams.mab_templates import AGENTS, mab_template
from memenvs.streams.memory_agent_bench import COMPETENCIES

pytest.importorskip("pyarrow")


@pytest.fixture
def path(tmp_path):
    return write_parquet(tmp_path / "Conflict_Resolution-0.parquet", [mab_row("factconsolidation_sh_6k")])


def test_chunks_are_told_and_questions_stay_bare(path):
    bare, told = load(path, chunk_size=5)[0], load(path, chunk_size=5, templates="rag")[0]
    assert [chunk.text for chunk in told.chunks] == [
        f"Dialogue between User and Assistant 2024-01-0{step + 1} 00:00 \\n<User> The following context is the facts I have "
        f"learned: \n{chunk.text}\n <Assistant> I have learned the facts and I will answer the question you ask."
        for step, chunk in enumerate(bare.chunks)
    ]
    assert [chunk.timestamp for chunk in told.chunks] == ["2024-01-01 00:00", "2024-01-02 00:00"]
    assert told.questions == bare.questions
    assert (told.metadata["templates"], "templates" in bare.metadata) == ("rag", False)


def test_every_sub_dataset_has_its_message_for_every_type_of_agent(tmp_path):
    sums = set()
    for name in SUB_DATASETS:
        split = next(split for split, starts in COMPETENCIES.items() if name.startswith(starts))
        file = write_parquet(tmp_path / f"{split}-0.parquet", [mab_row(name, "{brace} {0} stays.")])
        for agent in AGENTS:
            (chunk,) = load(file, templates=agent)[0].chunks
            frame = mab_template(name, "memorize", AGENTS[agent])
            assert chunk.text == frame.replace("{context}", "{brace} {0} stays.").replace(
                "{time_stamp}", "2024-01-01 00:00"
            )
            sums.add(hashlib.sha256(frame.encode()).hexdigest())
    assert len(sums) == 7, "one message per family, whatever the agent; two families read books"


def test_sessions_are_told_at_their_own_time(tmp_path):
    listed = ["2023/05/20 (Sat) 02:21", [{"role": "user", "content": "Tea."}]]
    file = write_parquet(tmp_path / "Accurate_Retrieval-0.parquet", [mab_row("longmemeval_s*", str(listed))])
    (chunk,) = load(file, longmemeval_chunks="sessions", templates="agentic")[0].chunks
    assert chunk.timestamp == "2023/05/20 (Sat) 02:21"
    assert (
        "<User> The following context is the conversation between the user and the assistant: \n[Dialogue at timestamp 2023"
        in chunk.text
    )


def test_the_setting_is_part_of_the_fingerprint_and_of_nothing_where_it_is_not_asked_for(path):
    assert load(path).fingerprint == load(path, templates=None).fingerprint
    assert len({load(path, templates=agent).fingerprint for agent in (None, *AGENTS)}) == 4
    with pytest.raises(
        SettingsError,
        match="templates must be None or one of rag, long_context, agentic, got 'rga'.*Did you mean 'rag'",
    ):
        load(path, templates="rga")
