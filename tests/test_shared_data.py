"""Every file of the folder of real data opens with the numbers of its manifest, or is refused for what it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import SHARED

from memenvs.errors import DataError
from memenvs.scoring import metric_for
from memenvs.streams import load

DATA = SHARED / "data"
MANIFEST = {e["file"]: e for e in json.loads((DATA / "MANIFEST.json").read_text())} if DATA.is_dir() else {}
FILES = sorted(str(p.relative_to(DATA)) for p in DATA.rglob("*") if p.is_file()) if DATA.is_dir() else []
BUILT_FROM = "`memenvs data build memalpha`"
REFUSED = {
    "squad/": BUILT_FROM, "hotpotqa/": BUILT_FROM, "csabstruct/": BUILT_FROM,
    "rebuilt_hf_flat/": BUILT_FROM, "squality/": BUILT_FROM,
    "banking77/": "blank lines|published form", "clinc150/": f"{BUILT_FROM}|published form",
    "nlu_evaluation_data/": f"no header|{BUILT_FROM}",
    "qmsum/": "QMSum meetings", "mquake/": "without the benchmark|published form",
    "redial/": "without its context|published form", "prefeval/": "no gold answers", "booksort/": "holds no streams",
    "memoryagentbench/questions_golds": "without contexts", "memoryagentbench/label_ids": "published form",
    "rebuilt_memalpha_schema/test.evidence": "side file", "rebuilt_memalpha_schema/train.evidence": "side file",
}  # fmt: skip
"""How the names of refused files begin -> what the refusal says."""

pytestmark = pytest.mark.skipif(not FILES, reason=f"needs the folder of real data at {DATA} (or MEMENVS_SHARED)")
pytest.importorskip("pyarrow")


def expected_counts(name: str) -> dict[str, int]:
    """Streams and questions that the manifest states, as far as it does."""
    records = MANIFEST[name]["records"]
    if "conversations" in records:
        return {"streams": len(records["conversations"]), "questions": records["questions"]}
    for unit in ("instances", "samples", "characters"):
        if unit in records:
            return {"streams": records[unit]}
    if "facts" in records:
        return {"streams": 2, "questions": 200}
    return {"streams": sum(records.values())}


@pytest.mark.parametrize("name", FILES)
def test_a_file_opens_as_its_manifest_says_or_is_refused_for_what_it_is(name):
    path = DATA / name
    documentation = path.suffix == ".md" or path.name == "MANIFEST.json" or path.name.startswith("LICEN")
    reason = next((text for begin, text in REFUSED.items() if name.startswith(begin)), None)
    if documentation or reason:
        with pytest.raises(DataError, match="holds no streams" if documentation else reason):
            load(path)
        return
    data = load(path)
    streams = list(data)
    found = {"streams": len(streams), "questions": sum(len(stream.questions) for stream in streams)}
    expected = expected_counts(name)
    assert {key: found[key] for key in expected} == expected
    assert data.max_steps >= max(stream.T for stream in streams)
    assert len(load(path, on_error="skip")) == len(data), "no row of a real file is skipped"
    for stream in streams:
        for question in stream.questions:
            metric_for(question.source)
            assert all(0 <= evidence.step < stream.T for evidence in question.evidence)
            assert all(evidence.text in stream.chunks[evidence.step].text for evidence in question.evidence)


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


def test_no_file_was_forgotten():
    listed = {
        name for name in FILES if (DATA / name).suffix in (".parquet", ".json", ".jsonl", ".txt", ".csv", ".label")
    }
    assert set(MANIFEST) <= listed
    assert Path(DATA / "README.md").is_file()
