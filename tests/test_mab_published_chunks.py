"""`load(..., tokens="o200k", published_chunks=True)` cuts MemoryAgentBench's contexts as the published code does."""

from __future__ import annotations

import json

import pytest
from published_files import mab_row, write_parquet

from memenvs.errors import DataError
from memenvs.memory import token_counter
from memenvs.streams import load

pytest.importorskip("pyarrow")
PUBLISHED = {"tokens": "o200k", "published_chunks": True}


@pytest.fixture(autouse=True)
def vocabulary() -> None:
    try:
        token_counter("o200k")
    except DataError as error:
        pytest.skip(str(error))


def test_every_vector_of_the_published_cutter_comes_out_of_a_file(tmp_path, shared):
    lines = (shared / "oracles/peers/mab_chunking.jsonl").read_text(encoding="utf-8").splitlines()
    cases = [case for case in map(json.loads, lines) if case["function"] == "chunk_text_into_sentences"]
    cut = empty = 0
    for case in cases:
        if not case["inputs"]["text"].strip():
            continue
        path = write_parquet(
            tmp_path / "Accurate_Retrieval-0.parquet", [mab_row("eventqa_full", case["inputs"]["text"])]
        )
        stream = load(path, chunk_size=case["inputs"]["chunk_size"], **PUBLISHED)[0]
        assert [chunk.text for chunk in stream.chunks] == case["output"]
        cut += len(case["output"]) > 1
        empty += case["output"][0] == ""
    assert cut > 5
    assert empty, "one of them begins with a sentence beyond the size, which leaves an empty chunk"


@pytest.mark.parametrize(
    ("split", "size", "steps"),
    [
        ("Conflict_Resolution", 4096, [2, 2]),
        ("Conflict_Resolution", 512, [12, 12]),
        ("Test_Time_Learning", 4096, [6, 7, 9, 7]),
        ("Test_Time_Learning", 512, [48, 55, 13, 59]),
    ],
)
def test_the_rebuilt_files_have_these_numbers_of_chunks(shared, split, size, steps):
    path = shared / "data/rebuilt_memoryagentbench_schema"
    data = load(path, split=split, chunk_size=size, **PUBLISHED)
    assert [stream.T for stream in data] == steps
    count = token_counter("o200k")
    for stream in data:
        # Sentences are counted alone, and joined by blanks that are not counted; a longer sentence stays whole.
        assert all(
            count(chunk.text) <= size + chunk.text.count(" ") or ". " not in chunk.text for chunk in stream.chunks
        )
