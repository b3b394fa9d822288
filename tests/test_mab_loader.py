"""MemoryAgentBench: four splits, chunks of whole sentences, golds as published."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest
from published_files import SUB_DATASETS, mab_row, write_json, write_parquet

from memenvs.errors import DataError, SettingsError
from memenvs.streams import load
from memenvs.streams.memory_agent_bench import COMPETENCIES

pytest.importorskip("pyarrow")
FACTS = "Here is a list of facts:\n0. Ann lives in Rome.\n1. Ann lives in Oslo.\n"


def folder(tmp_path: Path) -> Path:
    for name, source in zip(COMPETENCIES, ("ruler_qa1_197K", "icl_nlu_8296shot_balance", "infbench_sum_eng_shots2",
                                           "factconsolidation_sh_6k"), strict=True):  # fmt: skip
        write_parquet(tmp_path / "data" / f"{name}-00000-of-00001.parquet", [mab_row(source), mab_row(f"{source}x")])
    return tmp_path


def test_a_row_is_a_stream_with_all_its_golds(tmp_path):
    data = load(write_parquet(tmp_path / "Accurate_Retrieval-0.parquet", [mab_row("ruler_qa1_197K")]), chunk_size=5)
    assert (len(data), data.split, data.licence) == (1, "Accurate_Retrieval", "MIT")
    stream = data[0]
    assert [chunk.text for chunk in stream.chunks] == ["Ann likes tea.", "Bob likes jazz."]
    assert [(q.text, q.references, q.source) for q in stream.questions] == [
        ("What does Ann like?", ("tea", "some tea"), "ruler_qa1_197K"),
        ("And Bob?", ("jazz",), "ruler_qa1_197K"),
    ]
    assert stream.metadata["qa_pair_ids"] == ["ruler_qa1_197K_no0", "ruler_qa1_197K_no1"]
    assert data.max_steps >= stream.T


def test_the_golds_of_a_single_question_all_belong_to_it_however_nested(tmp_path):
    for answers in ([["s1", "s2"]], [["s1"], ["s2"]]):
        row = mab_row("infbench_sum_eng_shots2", questions=["Summarize."], answers=answers)
        data = load(write_parquet(tmp_path / "Long_Range_Understanding-0.parquet", [row]))
        assert [q.references for q in data[0].questions] == [("s1", "s2")]


def test_a_folder_holds_all_splits_or_one(tmp_path):
    path = folder(tmp_path)
    assert [stream.source[:4] for stream in load(path, split="test")] == ["rule"] * 2 + ["icl_"] * 2 + ["infb"] * 2 + [
        "fact"
    ] * 2
    assert len(load(path, split="Conflict_Resolution")) == 2
    with pytest.raises(DataError, match="no split 'train'; it has test questions only"):
        load(path, split="train")
    (tmp_path / "data" / "Conflict_Resolution-00000-of-00001.parquet").unlink()
    with pytest.raises(
        DataError, match="no parquet file of the split 'Conflict_Resolution'; it has: Accurate_Retrieval"
    ):
        load(path, split="Conflict_Resolution")


def test_families_are_sub_datasets_their_beginnings_or_competencies(tmp_path):
    path = folder(tmp_path)
    for families, expected in (
        (["ruler_qa1_197K"], {"ruler_qa1_197K", "ruler_qa1_197Kx"}),
        (["Conflict_Resolution"], {"factconsolidation_sh_6k", "factconsolidation_sh_6kx"}),
        (["icl_nlu_8296shot_balancex", "infb"],
         {"icl_nlu_8296shot_balancex", "infbench_sum_eng_shots2", "infbench_sum_eng_shots2x"}),
    ):  # fmt: skip
        assert {stream.source for stream in load(path, split="test", families=families)} == expected
    with pytest.raises(SettingsError, match="no questions of the family 'ruler_qa2'; it has .*Did you mean 'ruler_qa1"):
        load(path, split="test", families=["ruler_qa2"])


def test_every_published_sub_dataset_belongs_to_one_competency():
    for name in SUB_DATASETS:
        assert sum(name.startswith(starts) for starts in COMPETENCIES.values()) == 1, name
    assert len(SUB_DATASETS) == len(set(SUB_DATASETS)) == 22


def test_longmemeval_contexts_can_be_read_as_the_lists_that_they_print(tmp_path):
    listed = ["2023/05/20 (Sat) 02:21", [{"role": "user", "content": "It's \"tea\"."}], "2023/05/21 (Sun) 01:00",
              [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes"}]]  # fmt: skip
    path = write_parquet(tmp_path / "Accurate_Retrieval-0.parquet", [mab_row("longmemeval_s*", str(listed))])
    chunks = load(path, longmemeval_chunks="sessions")[0].chunks
    assert [chunk.timestamp for chunk in chunks] == ["2023/05/20 (Sat) 02:21", "2023/05/21 (Sun) 01:00"]
    assert chunks[1].text == "[Dialogue at timestamp 2023/05/21 (Sun) 01:00]\n<User> Hi\n<Assistant> Yes"
    assert '<User> It\'s "tea".' in chunks[0].text
    assert "'role': 'user'" in load(path)[0].chunks[0].text
    assert load(path).fingerprint != load(path, longmemeval_chunks="sessions").fingerprint


@pytest.mark.parametrize(
    "context",
    ["__import__('os').remove('x')", "['a', [", "['date', 'session']", "['date']", "5", "[5, [{'role': 'user', 'content': 'x'}]]",
     "['d', [{'role': 'user'}]]", "[" * 5000],
    ids=lambda text: text[:20],
)  # fmt: skip
def test_nothing_in_a_context_is_evaluated(tmp_path, context, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").touch()
    path = write_parquet(tmp_path / "Accurate_Retrieval-0.parquet", [mab_row("longmemeval_s*", context)])
    with pytest.raises(DataError, match=r"row 0, field context: expected"):
        load(path, longmemeval_chunks="sessions")[0]
    assert (tmp_path / "x").exists()


def test_a_context_that_is_too_long_for_a_literal_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("memenvs.streams.memory_agent_bench.MAX_LITERAL_CHARS", 10)
    path = write_parquet(tmp_path / "Accurate_Retrieval-0.parquet", [mab_row("longmemeval_s*", "['d', []]" * 5)])
    with pytest.raises(DataError, match="at most 10 characters for a Python list, got '45'"):
        load(path, longmemeval_chunks="sessions")[0]


def test_numbers_of_recommended_films_become_titles_where_they_are_given(tmp_path):
    row = mab_row("recsys_redial_full", answers=[["7"], ["8", "7"]])
    path = write_parquet(tmp_path / "Test_Time_Learning-0.parquet", [row])
    entities = write_json(tmp_path / "entity2id.json", {"<http://dbpedia.org/resource/It_(2017)>": 7, "Mama": 8})
    assert [q.references for q in load(path)[0].questions] == [("7",), ("8", "7")]
    titled = load(path, entities=str(entities))[0]
    assert [q.references for q in titled.questions] == [("It (2017)",), ("Mama", "It (2017)")]
    write_json(entities, {"Mama": 8})
    with pytest.raises(DataError, match="field answers: expected numbers of known entities"):
        load(path, entities=str(entities))[0]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"context": None}, "context"),
        ({"context": ""}, "context"),
        ({"metadata": {"source": None, "qa_pair_ids": ["a"]}}, "metadata.source"),
        ({"questions": []}, "questions"),
        ({"questions": ["a", None]}, "questions"),
        ({"answers": [["a"]]}, "answers"),
        ({"answers": [["a"], []]}, "answers"),
        ({"answers": [["a"], [None]]}, "answers"),
    ],
)
def test_a_malformed_row_is_named_or_skipped(tmp_path, changes, field):
    rows = [mab_row("ruler_qa1_197K"), mab_row("ruler_qa1_197K", **changes)]
    path = write_parquet(tmp_path / "Accurate_Retrieval-0.parquet", rows)
    with pytest.raises(DataError, match=rf"Accurate_Retrieval-0\.parquet, row 1, field {field}: expected"):
        load(path)[1]
    rest = load(path, on_error="skip")
    assert (len(rest), [one.row for one in rest.skipped]) == (1, [1])


def test_settings_that_cannot_work_are_refused(tmp_path):
    path = write_parquet(tmp_path / "Accurate_Retrieval-0.parquet", [mab_row("ruler_qa1_197K")])
    for settings, message in (
        ({"chunk_size": 0}, "chunk_size must be at least 1"),
        ({"longmemeval_chunks": "turns"}, "must be one of sentences, sessions"),
        ({"on_error": "ignore"}, "on_error must be one of raise, skip"),
        ({"families": "ruler"}, "must be a list"),
        ({"tokens": "gpt"}, "tokens must be one of"),
        ({"chunksize": 4}, "Did you mean 'chunk_size'"),
    ):
        with pytest.raises(SettingsError, match=message):
            load(path, **settings)


def test_facts_and_their_questions_in_two_files(tmp_path):
    (tmp_path / "factconsolidation_6k_context.txt").write_text(FACTS, encoding="utf-8")
    with pytest.raises(DataError, match=r"questions_golds\.jsonl with the questions is expected beside it"):
        load(tmp_path / "factconsolidation_6k_context.txt")
    lines = [
        json.dumps({"source": name, "qa_pair_id": "a", "question": "Where is Ann?", "golds": ["Oslo"]})
        for name in (f"factconsolidation_{end}" for end in ("sh_6k", "mh_6k", "sh_32k"))
    ]
    (tmp_path / "questions_golds.jsonl").write_text("\n".join(lines), encoding="utf-8")
    data = load(tmp_path / "factconsolidation_6k_context.txt", chunk_size=8)
    assert [stream.source for stream in data] == ["factconsolidation_mh_6k", "factconsolidation_sh_6k"]
    assert data[1].questions[0].references == ("Oslo",)
    assert "1. Ann lives in Oslo." in " ".join(chunk.text for chunk in data[0].chunks)


def test_memory_stays_flat_over_contexts_of_800k_tokens(tmp_path):
    """The peak of going through six rows of 3.2 million characters is that of two."""
    context = "Ann likes tea in Rome. " * 140_000
    peaks = []
    for count in (2, 6):
        rows = [mab_row("eventqa_full", f"{i} {context}") for i in range(count)]
        path = write_parquet(tmp_path / f"Accurate_Retrieval-{count}.parquet", rows)
        del rows
        tracemalloc.start()
        data = load(path, chunk_size=100_000)
        assert sum(1 for stream in data if stream.T > 5) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]
