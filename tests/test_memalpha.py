"""The Memalpha loader over parquet files made here, and over real data in the published schema."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from memenvs import Episode, EpisodeSettings
from memenvs.errors import DataError, SettingsError
from memenvs.reading import Answer
from memenvs.streams import Evidence, StreamDataset, load
from memenvs.streams.memalpha import MemalphaStreams

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

CHUNKS = ["Zoë likes tea.", "Bob likes jazz.", "\u2028 last"]
PAIRS = [
    {"question": "What does Zoë like?", "answer": "tea"},
    {"question": "And Bob?", "answer": ["jazz", "music"]},
    {"question": "How many?", "answer": 0},
]


def row(**changes):
    """One row as published; a value that is no text or number is written as JSON."""
    content = {
        "instance_id": 7,
        "prompt": "never shown",
        "chunks": CHUNKS,
        "questions_and_answers": PAIRS,
        "data_source": "squad",
        "metadata": {"sub_source": "x"},
        "num_chunks": 3,
        "num_questions": 3,
    } | changes
    return {k: json.dumps(v) if isinstance(v, (list, dict)) else v for k, v in content.items()}


def write(path: Path, *rows) -> Path:
    parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path)
    return path


def test_a_good_file(tmp_path):
    path = write(
        tmp_path / "train.parquet", row(), row(instance_id=8, data_source="booksum", chunks=["a"], num_chunks=1)
    )
    data = load(str(path))
    assert isinstance(data, StreamDataset)
    assert (len(data), data.max_steps, data.source, data.split) == (2, 3, "train.parquet", "train")
    stream = data[0]
    assert (stream.id, stream.source, stream.T, stream.metadata) == ("squad/7", "squad", 3, {"sub_source": "x"})
    assert [chunk.text for chunk in stream.chunks] == CHUNKS
    assert all(chunk.questions == () for chunk in stream.chunks)
    assert [(q.text, q.references, q.source) for q in stream.questions] == [
        ("What does Zoë like?", ("tea",), "squad"),
        ("And Bob?", ("jazz", "music"), "squad"),
        ("How many?", ("0",), "squad"),
    ]
    assert data[1].source == "booksum"
    for index in (2, -1):
        with pytest.raises(IndexError, match=r"train\.parquet has 2"):
            data[index]
    assert [s.fingerprint for s in load(str(path))] == [stream.fingerprint, data[1].fingerprint]


def test_columns_that_are_optional(tmp_path):
    bare = {k: row()[k] for k in ("instance_id", "chunks", "questions_and_answers", "data_source")}
    data = load(str(write(tmp_path / "x.parquet", bare, bare | {"chunks": json.dumps(["a"] * 9)})))
    assert (data.split, data.max_steps, data[0].metadata) == ("x", 9, {})


@pytest.mark.parametrize("column", ["instance_id", "chunks", "questions_and_answers", "data_source"])
def test_a_missing_column_is_named(tmp_path, column):
    content = row()
    del content[column]
    with pytest.raises(DataError, match=f"missing: {column}; the file has: .*prompt"):
        load(str(write(tmp_path / "train.parquet", content)))


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"chunks": "[not json"}, "chunks", "expected JSON"),
        ({"chunks": None}, "chunks", "expected a string"),
        ({"chunks": []}, "chunks", "at least one string"),
        ({"chunks": ["a", 5]}, "chunks", "at least one string"),
        ({"chunks": {"a": 1}}, "chunks", "at least one string"),
        ({"num_chunks": 4}, "num_chunks", "expected the number of chunks, 3, got '4'"),
        ({"questions_and_answers": "{"}, "questions_and_answers", "expected JSON"),
        ({"questions_and_answers": []}, "questions_and_answers", "at least one"),
        ({"questions_and_answers": ["q"]}, "questions_and_answers", "objects with question"),
        ({"questions_and_answers": [{"question": 5, "answer": "a"}]}, "questions_and_answers", "objects with question"),
        ({"questions_and_answers": [{"question": "q"}]}, "questions_and_answers", "objects with question"),
        ({"questions_and_answers": [{"question": "q", "answer": None}]}, "questions_and_answers", "an answer"),
        ({"questions_and_answers": [{"question": "q", "answer": []}]}, "questions_and_answers", "an answer"),
        ({"questions_and_answers": [{"question": "q", "answer": ["a", None]}]}, "questions_and_answers", "an answer"),
        ({"questions_and_answers": [{"question": "q", "answer": {"a": 1}}]}, "questions_and_answers", "an answer"),
        ({"data_source": None}, "data_source", "expected a string"),
        ({"metadata": "{"}, "metadata", "expected JSON"),
        ({"metadata": "[1]"}, "metadata", "expected a JSON object"),
        ({"metadata": "0"}, "metadata", "expected a JSON object"),
        ({"chunks": "[" * 100_000}, "chunks", "expected JSON"),
        ({"questions_and_answers": '{"a":' * 100_000}, "questions_and_answers", "expected JSON"),
        ({"chunk_questions": [[], []]}, "chunk_questions", r"one list of questions per chunk \(3\)"),
        ({"chunk_questions": [[], 5, []]}, "chunk_questions", "one list of questions per chunk"),
        ({"chunk_questions": [[], [{"q": 1}], []]}, "chunk_questions", "objects with question"),
    ],
)  # fmt: skip
def test_a_malformed_row_is_named_with_file_row_and_field(tmp_path, changes, field, message):
    fine = row(chunk_questions=[[], [], []]) if "chunk_questions" in changes else row()
    path = write(tmp_path / "train.parquet", fine, fine | row(**changes))
    with pytest.raises(DataError, match=f"train.parquet, row 1, field {field}: .*{message}"):
        load(str(path))[1]
    rest = load(str(path), on_error="skip")
    assert (len(rest), rest[0].T) == (1, 3)
    assert [(one.file, one.row) for one in rest.skipped] == [("train.parquet", 1)]
    assert f"field {field}" in rest.skipped[0].reason


def test_chunk_questions_from_their_column(tmp_path):
    asked = [PAIRS[:1], [], [{"question": "And now?", "answer": ["x", "y"]}, PAIRS[1]]]
    data = load(str(write(tmp_path / "train.parquet", row(chunk_questions=asked), row())))
    assert [[q.text for q in chunk.questions] for chunk in data[0].chunks] == [
        ["What does Zoë like?"],
        [],
        ["And now?", "And Bob?"],
    ]
    assert data[0].chunks[2].questions[0].references == ("x", "y")
    assert data[0].chunks[2].questions[0].evidence == (Evidence(2),)
    assert [chunk.questions for chunk in data[1].chunks] == [(), (), ()]


def test_chunk_questions_from_the_evidence_beside_the_file(tmp_path):
    path = write(tmp_path / "train.parquet", row(), row(instance_id=8))
    with pytest.raises(SettingsError, match=r"needs a file train\.evidence\.jsonl"):
        load(str(path), chunk_questions="evidence")
    beside = tmp_path / "train.evidence.jsonl"
    beside.write_text(
        json.dumps({"instance_id": 7, "evidence_chunk_idx": [[0], [1, 2], [99, -1]]}) + "\n", encoding="utf-8"
    )
    plain, early = load(str(path)), load(str(path), chunk_questions="evidence")
    assert [q.evidence for q in plain[0].questions] == [(Evidence(0),), (Evidence(1), Evidence(2)), ()]
    assert all(not chunk.questions for chunk in plain[0].chunks)
    asked = [[q.text for q in chunk.questions] for chunk in early[0].chunks]
    assert asked == [["What does Zoë like?"], ["And Bob?"], ["And Bob?"]]
    assert all(not chunk.questions for chunk in early[1].chunks), "nothing is known about the second row"
    with pytest.raises(SettingsError, match="chunk_questions must be one of column, evidence"):
        load(str(path), chunk_questions="both")


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[" * 100_000,
        "[]",
        '{"instance_id": 7}',
        '{"instance_id": "x", "evidence_chunk_idx": []}',
        '{"instance_id": 7, "evidence_chunk_idx": [["a"]]}',
    ],
)
def test_a_bad_line_of_evidence_is_named(tmp_path, line):
    path = write(tmp_path / "train.parquet", row())
    good = '{"instance_id": 7, "evidence_chunk_idx": []}'
    (tmp_path / "train.evidence.jsonl").write_text(f"{good}\n{line}\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"train\.evidence\.jsonl, line 2"):
        load(str(path))


def test_what_is_no_parquet_file(tmp_path):
    for name, content in (("train.parquet", b"not parquet at all"), ("empty.parquet", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match="not a readable parquet file"):
            load(str(tmp_path / name))


def test_a_table_without_rows(tmp_path):
    table = pyarrow.Table.from_pylist([row()]).slice(0, 0)
    parquet.write_table(table, tmp_path / "train.parquet")
    with pytest.raises(DataError, match="no rows"):
        load(str(tmp_path / "train.parquet"))


def test_a_folder_has_its_splits(tmp_path):
    write(tmp_path / "train.parquet", row())
    write(tmp_path / "test.parquet", row(), row())
    assert len(load(str(tmp_path))) == 1
    assert (len(load(str(tmp_path), split="test")), load(str(tmp_path), split="test").split) == (2, "test")
    with pytest.raises(DataError, match=r"has no dev\.parquet; it has: test\.parquet, train\.parquet"):
        load(str(tmp_path), split="dev")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no parquet file"):
        load(str(tmp_path / "empty"))


def test_the_fingerprint_sees_all_that_streams_are_made_of(tmp_path):
    def fingerprint(name, evidence=None, settings=None, **changes):
        (tmp_path / name).mkdir()
        path = write(tmp_path / name / "train.parquet", row(**changes))
        if evidence is not None:
            line = json.dumps({"instance_id": 7, "evidence_chunk_idx": evidence})
            (tmp_path / name / "train.evidence.jsonl").write_text(line, encoding="utf-8")
        return load(str(path), **(settings or {})).fingerprint

    base = fingerprint("base")
    assert fingerprint("same") == base
    assert fingerprint("prompt", prompt="another") == base
    other = [
        fingerprint("a", chunks=CHUNKS[::-1]),
        fingerprint("b", questions_and_answers=PAIRS[:2]),
        fingerprint("c", data_source="hotpotqa"),
        fingerprint("d", instance_id=8),
        fingerprint("e", chunk_questions=[[], [], []]),
        fingerprint("f", chunk_questions=[PAIRS, [], []]),
        fingerprint("g", evidence=[[0], [1], [2]]),
        fingerprint("h", evidence=[[0], [1], [1]]),
        fingerprint("i", evidence=[[0], [1], [2]], settings={"chunk_questions": "evidence"}),
    ]
    assert len({base, *other}) == len(other) + 1


def test_a_folder_in_the_layout_of_a_hub_opens_like_a_hub(tmp_path):
    pytest.importorskip("datasets")
    (tmp_path / "set").mkdir()
    write(tmp_path / "set" / "train.parquet", row(), row(instance_id=8))
    write(tmp_path / "set" / "test.parquet", row(instance_id=9))
    folder = str(tmp_path / "set")
    data = MemalphaStreams.from_hub(folder, split="train")
    assert (len(data), data.source, data.split) == (2, folder, "train")
    assert data[0] == load(folder)[0]
    assert MemalphaStreams.from_hub(folder, split="test")[0].id == "squad/9"
    assert data.revision is None
    with pytest.raises(DataError, match="has no split 'dev'; it has: train, test"):
        MemalphaStreams.from_hub(folder, split="dev")


def test_such_a_folder_with_files_that_are_no_parquet(tmp_path):
    pytest.importorskip("datasets")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(DataError, match="is not a readable parquet file"):
        MemalphaStreams.from_hub(str(tmp_path / "set"))
    (tmp_path / "set" / "train.parquet").rename(tmp_path / "set" / "notes.docx")
    with pytest.raises(DataError, match="is no data set of parquet files"):
        MemalphaStreams.from_hub(str(tmp_path / "set"))


def test_an_episode_over_a_file(tmp_path):
    asked = [PAIRS[:1], PAIRS[1:2], []]
    stream = load(str(write(tmp_path / "train.parquet", row(chunk_questions=asked))))[0]
    episode = Episode(stream)
    while not episode.done:
        insert = json.dumps([{"op": "INSERT", "content": episode.observe().chunk}])
        episode.answer([Answer(r.items[0][1], (r.items[0][0],)) for r in episode.act(insert)])
    record = episode.record()
    assert [r.score for step in record.steps for r in step.readings] == [1.0, 1.0]
    assert [q.score for q in record.questions[:2]] == [1.0, 1.0]


@pytest.mark.parametrize("name", ["train", "test", "memoryagentbench_test"])
def test_real_data_in_the_published_schema(shared, name):
    path = shared / "data/rebuilt_memalpha_schema" / f"{name}.parquet"
    table = parquet.read_table(path)
    data = load(str(path))
    assert len(data) == table.num_rows
    chunks, questions = table.column("num_chunks").to_pylist(), table.column("num_questions").to_pylist()
    assert data.max_steps == max(chunks)
    for index in range(len(data)):
        stream = data[index]
        assert (stream.T, len(stream.questions)) == (chunks[index], questions[index])
        assert all(q.references for q in stream.questions)
        Episode(stream, EpisodeSettings(chunk_questions=0))  # every source has its metric


def test_real_evidence_puts_every_question_at_its_chunks(shared):
    path = shared / "data/rebuilt_memalpha_schema/train.parquet"
    data = load(str(path), chunk_questions="evidence")
    known = [json.loads(line) for line in path.with_suffix(".evidence.jsonl").read_text().splitlines()]
    rows = parquet.read_table(path).column("instance_id").to_pylist()
    entry = random.Random(1).choice([e for e in known if e["evidence_chunk_idx"]])
    stream = data[rows.index(entry["instance_id"])]
    assert len(entry["evidence_chunk_idx"]) == len(stream.questions)
    for question, steps in zip(stream.questions, entry["evidence_chunk_idx"], strict=True):
        assert {e.step for e in question.evidence} == set(steps)
        for step in steps:
            assert question in stream.chunks[step].questions
