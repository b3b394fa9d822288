"""Every file of the manifest of real data: what happens to it, with the numbers that the manifest states.

A file opens as streams, is raw material that `memenvs data build memalpha` reads, is read beside another file, or is refused for
what it is. A file that the table does not name, and one that it names and the manifest does not, fail a test.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import NamedTuple

import pytest
from conftest import SHARED

from memenvs.errors import DataError
from memenvs.memory import count_tokens
from memenvs.scoring import metric_for
from memenvs.streams import load
from trainers.commands_inspect import report
from trainers.data_build.raw import READERS, Raw

DATA = SHARED / "data"
MANIFEST = {e["file"]: e["records"] for e in json.loads((DATA / "MANIFEST.json").read_text())} if DATA.is_dir() else {}

pytestmark = pytest.mark.skipif(not MANIFEST, reason=f"needs the folder of real data at {DATA} (or MEMENVS_SHARED)")
pytest.importorskip("pyarrow")


class Opens(NamedTuple):
    """It opens with so many streams, chunks and questions."""

    streams: int
    chunks: int
    questions: int


class Builds(NamedTuple):
    """`memenvs data build memalpha` reads it under this option."""

    option: str
    unit: str
    """What the manifest counts."""


class Beside(NamedTuple):
    """It is read together with another file."""

    other: str
    settings: tuple[str, str] | None = None
    """Setting of the other file's data that reads it; {} is its path."""


class Refused(NamedTuple):
    """It is no benchmark's file, for this reason."""

    reason: str


Fate = Opens | Builds | Beside | Refused
_MAB = "rebuilt_memoryagentbench_schema/data/"
_NO_GOLD = Refused("PrefEval preferences, which have no gold answers")
FATES: dict[str, Fate] = {
    "squad/squad_v1.1.articles-A.json": Builds("squad", "articles"),
    "hotpotqa/hotpot_train_distractor.50-A.json": Builds("hotpotqa", "questions"),
    "locomo/locomo10.3conv-A.json": Opens(3, 70, 497),
    "banking77/train.csv": Builds("banking77", "rows"),
    "banking77/test.csv": Builds("banking77", "rows"),
    "banking77/categories.json": Refused("a list of names .*without texts"),
    "clinc150/data_full.json": Builds("clinc150", "train"),
    "clinc150/domains.json": Refused("names of intents without utterances"),
    "nlu_evaluation_data/WatsonNluIntentsMerged.fold1_train.csv": Builds("nlu", "rows"),
    "nlu_evaluation_data/RasaNluTestset_Merged.fold1_test.json": Builds("nlu", "rows"),
    "csabstruct/csabstruct.A.jsonl": Builds("pubmed", "sentences"),
    "squality/dev.jsonl": Builds("books", "stories"),
    "qmsum/val.jsonl": Refused("QMSum meetings, which no published benchmark here asks for"),
    "mquake/MQuAKE-hard.A.json": Refused("MQuAKE cases.*without the benchmark's numbered facts"),
    "mquake/cloze_templates.json": Refused("sentence templates by Wikidata relation, without facts"),
    "redial/test.turns-A.jsonl": Refused("ReDial turns.*without its context"),
    "redial/entity2id.json": Beside(f"{_MAB}Test_Time_Learning-00000-of-00001.parquet", ("entities", "{}")),
    "prefeval/explicit_preference/education_learning_styles.json": _NO_GOLD,
    "prefeval/explicit_preference/entertain_sports.json": _NO_GOLD,
    "prefeval/explicit_preference/pet_ownership.json": _NO_GOLD,
    "prefeval/explicit_preference/shop_technology.json": _NO_GOLD,
    "perltqa/perltmem_en_v2.excerpt.json": Opens(1, 6, 14),
    "perltqa/perltqa_en_v2.excerpt.json": Opens(1, 6, 14),
    "memoryagentbench/factconsolidation_6k_context.txt": Opens(2, 4, 200),
    "memoryagentbench/questions_golds.jsonl": Beside("memoryagentbench/factconsolidation_6k_context.txt"),
    "memoryagentbench/label_ids_recovered.json": Refused("names of MemoryAgentBench's label numbers, without examples"),
    "longmemeval/longmemeval_s.single_e47becba.json": Opens(1, 53, 1),
    "booksort/full_text/73017-0.txt": Builds("books", "words"),
    "booksort/full_text/72958-0.txt": Builds("books", "words"),
    "booksort/full_text/72578-0.txt": Builds("books", "words"),
    "booksort/rebuilt_sort_LE1000_LS20.books.csv": Refused("a list of books without texts"),
    "booksort/rebuilt_sort_LE1000_LS20.excerpts.csv": Refused("excerpts without questions"),
    "booksort/rebuilt_sort_LE1000_LS20.segments.csv": Refused("segment pairs without the books' texts"),
    "booksort/BookSORT_metadata.json": Refused("a description of a data set .*without data"),
    "rebuilt_memalpha_schema/train.parquet": Opens(21, 167, 1228),
    "rebuilt_memalpha_schema/train.evidence.jsonl": Beside("rebuilt_memalpha_schema/train.parquet"),
    "rebuilt_memalpha_schema/test.parquet": Opens(8, 68, 519),
    "rebuilt_memalpha_schema/test.evidence.jsonl": Beside("rebuilt_memalpha_schema/test.parquet"),
    f"{_MAB}Conflict_Resolution-00000-of-00001.parquet": Opens(2, 4, 200),
    f"{_MAB}Test_Time_Learning-00000-of-00001.parquet": Opens(4, 26, 350),
    f"{_MAB}Accurate_Retrieval-00000-of-00001.parquet": Opens(4, 34, 270),
    f"{_MAB}Long_Range_Understanding-00000-of-00001.parquet": Opens(6, 14, 6),
    "rebuilt_memalpha_schema/memoryagentbench_test.parquet": Opens(13, 208, 576),
    "rebuilt_longmemeval_schema/longmemeval_s.rebuilt_from_locomo.json": Opens(28, 662, 28),
    "rebuilt_longmemeval_schema/longmemeval_oracle.rebuilt_from_locomo.json": Opens(495, 604, 495),
    "rebuilt_longmemeval_schema/longmemeval_combined_train_v2.rebuilt_from_locomo.json": Opens(3, 70, 180),
    "rebuilt_longmemeval_schema/longmemeval_s.rebuilt_from_locomo.parquet": Opens(28, 662, 28),
    "rebuilt_hf_flat/rajpurkar_squad.parquet": Builds("squad", "questions"),
    "rebuilt_hf_flat/hotpot_qa.parquet": Builds("hotpotqa", "questions"),
    "rebuilt_hf_flat/pubmed_200k_rct_schema.parquet": Builds("pubmed", "sentences"),
    "rebuilt_hf_flat/pubmed_rct_format.txt": Builds("pubmed", "abstracts"),
    "rebuilt_hf_flat/trec_format.label": Builds("trec", "lines"),
    "rebuilt_hf_flat/booksum_complete_cleaned_chapters.parquet": Builds("books", "chapters"),
}


def named(kind: type) -> list[str]:
    return [name for name, fate in FATES.items() if isinstance(fate, kind)]


def test_the_table_names_every_file_of_the_manifest_and_no_other():
    assert set(FATES) == set(MANIFEST)


def test_the_manifest_names_every_file_but_notes_and_licences():
    there = {str(path.relative_to(DATA)) for path in DATA.rglob("*") if path.is_file()}
    rest = {name.rpartition("/")[2] for name in there - set(MANIFEST)}
    assert all(name.endswith(".md") or name == "MANIFEST.json" or name.startswith("LICEN") for name in rest)
    for name in there - set(MANIFEST):
        with pytest.raises(DataError, match="holds no streams in a published form"):
            load(DATA / name)


@pytest.mark.parametrize("name", named(Opens))
def test_a_file_opens_with_the_numbers_of_the_manifest(name):
    data, expected = load(DATA / name), FATES[name]
    streams = list(data)
    assert (len(streams), sum(s.T for s in streams), sum(len(s.questions) for s in streams)) == expected
    assert _stated(MANIFEST[name]).items() <= _found(name, streams).items()
    assert data.max_steps >= max(stream.T for stream in streams)
    assert len(load(DATA / name, on_error="skip")) == len(data), "no row of a real file is skipped"
    for stream in streams:
        for question in stream.questions:
            metric_for(question.source)
            assert all(0 <= evidence.step < stream.T for evidence in question.evidence)
            assert all(evidence.text in stream.chunks[evidence.step].text for evidence in question.evidence)


def _stated(records):
    """What the manifest counts, a list by its length."""
    return {unit: count if isinstance(count, int) else len(count) for unit, count in records.items()}


def _found(name, streams):
    """The same in the streams, by every name that the manifest has for it."""
    units = dict.fromkeys(("instances", "samples", "characters", "conversations"), len(streams))
    units |= {"questions": sum(len(s.questions) for s in streams), "sessions": sum(s.T for s in streams)}
    text = " ".join(chunk.text for chunk in streams[0].chunks)
    units["facts"] = len(set(re.findall(r"(?<!\S)(\d+)\.\s", text)))
    return units | Counter(stream.source for stream in streams)


@pytest.mark.parametrize("name", ["train.parquet", "test.parquet", "memoryagentbench_test.parquet"])
def test_every_row_has_the_chunks_and_questions_that_it_states(name):
    import pyarrow.parquet

    path = DATA / "rebuilt_memalpha_schema" / name
    stated = pyarrow.parquet.read_table(path, columns=["num_chunks", "num_questions"]).to_pylist()
    found = [{"num_chunks": s.T, "num_questions": len(s.questions)} for s in load(path)]
    assert found == stated


@pytest.mark.parametrize("name", named(Builds))
def test_raw_material_is_refused_with_the_command_that_reads_it_which_finds_all_of_it(name):
    fate = FATES[name]
    with pytest.raises(DataError, match=f"raw material: `memenvs data build memalpha --{fate.option} PATH`"):
        load(DATA / name)
    assert _counted(READERS[fate.option](DATA / name), fate.unit, DATA / name) >= _stated(MANIFEST[name]).items()


def _counted(raw: Raw, unit: str, path):
    records = raw.records
    if isinstance(records, dict):  # labelled sentences
        counts = {split: len(pairs) for split, pairs in records.items()} | {unit: len(records["train"])}
        if unit == "train":  # CLINC150 holds parts that are no training or test: utterances out of scope, validation
            counts |= {
                part: len(json.loads(path.read_text())[part]) for part in ("oos_val", "val", "oos_test", "oos_train")
            }
        if unit in ("sentences", "abstracts"):
            text = path.read_text(encoding="utf-8", errors="replace")
            counts["abstracts"] = text.count("###") if path.suffix == ".txt" else text.count("\n")
        return counts.items()
    counts = {unit: len(records)}
    if unit == "articles":
        asked = sum(len(paragraph.questions) for paragraph in records)
        counts = {unit: len({p.title for p in records}), "paragraphs": len(records), "questions": asked}
    elif unit == "words":
        assert records[0].text.split()[0] in path.read_text(encoding="utf-8")
        counts = {unit: len(path.read_text(encoding="utf-8").split())}
    return counts.items()


@pytest.mark.parametrize("name", named(Beside))
def test_a_file_that_is_read_beside_another_is_refused_alone(name):
    with pytest.raises(DataError, match="beside|with the parquet file|as entities"):
        load(DATA / name)


def test_what_is_read_beside_other_files_arrives():
    for split in ("train", "test"):
        name = f"rebuilt_memalpha_schema/{split}.evidence.jsonl"
        known = {s.id for s in load(DATA / FATES[name].other) if any(q.evidence for q in s.questions)}
        assert len(known) == MANIFEST[name]["instances"]
    questions = MANIFEST["memoryagentbench/questions_golds.jsonl"]
    facts = load(DATA / FATES["memoryagentbench/questions_golds.jsonl"].other)
    assert {s.source: len(s.questions) for s in facts}.items() <= questions.items()
    entities = DATA / "redial/entity2id.json"
    films = load(DATA / FATES["redial/entity2id.json"].other, entities=str(entities), families=["recsys"])[0]
    numbers = load(DATA / FATES["redial/entity2id.json"].other, families=["recsys"])[0]
    titles = {number: title for title, number in json.loads(entities.read_text()).items()}
    assert len(titles) == MANIFEST["redial/entity2id.json"]["entities"]
    for told, number in zip(films.questions, numbers.questions, strict=True):
        assert [titles[int(n)].strip("<>").rpartition("/")[2].replace("_", " ") for n in number.references] == list(
            told.references
        )


@pytest.mark.parametrize("name", named(Refused))
def test_a_file_of_no_benchmark_is_refused_for_what_it_is(name):
    with pytest.raises(DataError, match=FATES[name].reason):
        load(DATA / name)


@pytest.mark.parametrize("name", ["locomo/locomo10.3conv-A.json", f"{_MAB}Conflict_Resolution-00000-of-00001.parquet"])
def test_inspect_reports_the_same_numbers(name):
    found = report(load(DATA / name, on_error="skip"), count_tokens)
    assert (found["streams"], found["chunks"], found["questions"], found["skipped"]) == (*FATES[name], 0)
