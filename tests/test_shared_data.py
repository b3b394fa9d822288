"""Folders of real data, and what streams of real data hold; test_manifest.py goes through the files one by one."""

from __future__ import annotations

import pytest
from conftest import SHARED

from memenvs.streams import load

DATA = SHARED / "data"

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"needs the folder of real data at {DATA} (or MEMENVS_SHARED)"
)
pytest.importorskip("pyarrow")


@pytest.mark.parametrize(
    "folder", ["locomo", "perltqa", "rebuilt_longmemeval_schema", "rebuilt_memoryagentbench_schema"]
)
def test_a_folder_opens_like_its_files(folder):
    data = load(DATA / folder, split="test")
    assert sum(len(stream.questions) for stream in data) > 0


def test_the_rebuilt_conflict_rows_and_the_two_files_they_come_from_hold_the_same_questions():
    rebuilt = load(DATA / "rebuilt_memoryagentbench_schema", split="Conflict_Resolution")
    facts = load(DATA / "memoryagentbench/factconsolidation_6k_context.txt")
    for one, two in zip(rebuilt, facts, strict=True):
        assert one.source == two.source
        assert [(q.text, q.references) for q in one.questions] == [(q.text, q.references) for q in two.questions]
        assert [chunk.text for chunk in one.chunks] == [chunk.text for chunk in two.chunks]


def test_the_real_longmemeval_instance_has_its_evidence():
    stream = load(DATA / "longmemeval/longmemeval_s.single_e47becba.json")[0]
    assert stream.T == 53
    assert "Business Administration" in stream.questions[0].evidence[0].text
    assert [c.timestamp for c in stream.chunks] == sorted(c.timestamp or "" for c in stream.chunks)


def test_every_chunk_of_longmemeval_s_star_by_sessions_has_its_date():
    data = load(DATA / "rebuilt_memoryagentbench_schema", split="Accurate_Retrieval", families=["longmemeval_s*"],
                longmemeval_chunks="sessions")  # fmt: skip
    assert [stream.T for stream in data] == [19, 19]
    assert all(chunk.timestamp and chunk.timestamp in chunk.text for stream in data for chunk in stream.chunks)
