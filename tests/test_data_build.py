"""`memenvs data build memalpha`: raw files in every published form to files that load, the same ones every time."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

pytest.importorskip("pyarrow.parquet")
import pyarrow
import pyarrow.parquet

from memenvs.errors import DataError, SettingsError
from memenvs.streams import load
from trainers.cli import main
from trainers.data_build.memalpha import BuildSettings, build
from trainers.data_build.raw import READERS

SMALL = BuildSettings(small=True, instances=3)


def _write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def _table(path: Path, rows: list[dict[str, object]]) -> Path:
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def squad_json(folder: Path, articles: int = 40) -> Path:
    def paragraph(i: int, j: int) -> dict[str, object]:
        context = f"Castle {i} stands in Town {j}. " + f"Its tower has {100 + i} old steps and a garden. " * 30
        asked = [(f"How many steps has tower {i} {j}?", str(100 + i)), (f"Where is castle {i} {j}?", f"Town {j}")]
        return {
            "context": context,
            "qas": [{"question": q, "answers": [{"text": a, "answer_start": 0}]} for q, a in asked],
        }

    data = [{"title": f"A{i}", "paragraphs": [paragraph(i, j) for j in range(4)]} for i in range(articles)]
    data[0]["paragraphs"][0]["qas"].append({"question": "No answer?", "answers": []})
    return _write(folder / "squad.json", {"data": data})


def test_squad_becomes_files_that_load_with_evidence_and_chunk_questions(tmp_path):
    manifest = build({"squad": squad_json(tmp_path)}, tmp_path / "out", SMALL)
    assert manifest["sources"]["squad"]["licence"] == "CC BY-SA 4.0"
    assert manifest["sources"]["squad"]["instances"]["train"] == 3
    for split in ("train", "test"):
        streams = load(tmp_path / "out", split=split)
        counts = manifest["files"][split]
        made = [streams[i] for i in range(len(streams))]
        assert counts["instances"] == len(made)
        assert counts["chunks"] == sum(stream.T for stream in made)
        assert counts["questions"] == sum(len(stream.questions) for stream in made)
        assert counts["chunk_questions"] == sum(len(c.questions) for stream in made for c in stream.chunks) > 0
        for stream in made:
            for question in stream.questions:
                (evidence,) = question.evidence
                assert question.references[0] in stream.chunks[evidence.step].text


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_streams(tmp_path):
    raw = squad_json(tmp_path)
    first, again, other = (
        build({"squad": raw}, tmp_path / name, BuildSettings(small=True, seed=seed))
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first == again
    assert first["files"]["train"]["sha256"] != other["files"]["train"]["sha256"]
    assert (tmp_path / "a/MANIFEST.json").read_bytes() == (tmp_path / "b/MANIFEST.json").read_bytes()


def test_the_manifest_says_what_was_read_and_no_path_of_the_machine(tmp_path):
    import hashlib

    raw = squad_json(tmp_path)
    build({"squad": raw}, tmp_path / "out", SMALL)
    text = (tmp_path / "out/MANIFEST.json").read_text()
    (file,) = json.loads(text)["sources"]["squad"]["files"]
    assert file == {
        "name": "squad.json",
        "bytes": raw.stat().st_size,
        "sha256": hashlib.sha256(raw.read_bytes()).hexdigest(),
    }
    assert str(tmp_path) not in text


def test_the_flat_form_of_squad_holds_the_same_records(tmp_path):
    nested = READERS["squad"](squad_json(tmp_path, 2)).records
    rows = [
        {
            "context": p.context,
            "title": p.title,
            "question": q,
            "answers": {"text": [a, "second"], "answer_start": [0, 1]},
        }
        for p in nested
        for q, a in p.questions
    ]
    flat = READERS["squad"](_table(tmp_path / "flat.parquet", rows)).records
    assert [(p.context, pair) for p in flat for pair in p.questions] == [
        (p.context, pair) for p in nested for pair in p.questions
    ]


def test_both_forms_of_hotpotqa_give_the_supporting_articles(tmp_path):
    nested = {
        "_id": "x",
        "question": "Who?",
        "answer": "Ann",
        "supporting_facts": [["B", 0], ["A", 1], ["B", 1], ["Gone", 0]],
        "context": [["A", ["One. ", "Two."]], ["B", ["Three."]], ["C", ["Four."]]],
    }
    flat = {
        **nested,
        "supporting_facts": {"title": ["B", "A", "B", "Gone"], "sent_id": [0, 1, 1, 0]},
        "context": {"title": ["A", "B", "C"], "sentences": [["One. ", "Two."], ["Three."], ["Four."]]},
    }
    for path in (_write(tmp_path / "h.json", [nested]), _table(tmp_path / "h.parquet", [flat])):
        (record,) = READERS["hotpotqa"](path).records
        assert record.articles == (("B", "Three."), ("A", "One. Two."))


def test_all_forms_of_labelled_abstracts_give_the_same_pairs(tmp_path):
    text = "###12\nMETHODS\tWe did it .\nRESULTS\tIt worked .\n\n###13\nMETHODS\tAgain .\n"
    lines = '{"sentences": ["We did it .", "It worked ."], "labels": ["METHODS", "RESULTS"]}\n'
    rows = [{"text": "We did it .", "labels": 2}, {"text": "It worked .", "labels": 4}]
    assert READERS["pubmed"](_write(tmp_path / "a.txt", text)).records["train"] == [
        ("We did it .", "METHODS"),
        ("It worked .", "RESULTS"),
        ("Again .", "METHODS"),
    ]
    assert READERS["pubmed"](_write(tmp_path / "a.jsonl", lines)).records["train"][1] == ("It worked .", "RESULTS")
    assert READERS["pubmed"](_table(tmp_path / "a.parquet", rows)).records["train"][1] == ("It worked .", "4")


def test_blank_lines_inside_an_utterance_do_not_split_its_example(tmp_path):
    path = tmp_path / "train.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["text", "category"], ["my card\n\nis lost", "lost"], ["", "lost"]])
    assert READERS["banking77"](path).records["train"] == [("my card is lost", "lost")]


def test_trec_lines_in_latin_1_keep_their_coarse_label(tmp_path):
    path = tmp_path / "train.label"
    path.write_bytes("LOC:city Where is Malmö ?\n".encode("latin-1"))
    assert READERS["trec"](path).records["train"] == [("Where is Malmö ?", "LOC")]


def test_utterances_out_of_scope_have_no_intent(tmp_path):
    loaded = {"train": [["hi", "greet"]], "test": [["bye", "leave"]], "oos_train": [["what", "oos"]]}
    raw = READERS["clinc150"](_write(tmp_path / "data_full.json", loaded))
    assert raw.records == {"train": [("hi", "greet")], "test": [("bye", "leave")]}
    assert READERS["clinc150"](tmp_path).records == raw.records


def test_the_texts_of_a_gutenberg_file_are_taken_without_its_frame(tmp_path):
    _write(
        tmp_path / "texts/1.txt",
        "\ufeffhead\n*** START OF THE BOOK ***\nCall me Ishmael.\n*** END OF THE BOOK ***\ntail",
    )
    (chapter,) = READERS["books"](tmp_path / "texts").records
    assert chapter.text.strip() == "Call me Ishmael."


def nlu(folder: Path) -> Path:
    texts = [(f"please do action {i} with thing {i * 7}", f"intent_{i % 5}") for i in range(400)]
    texts += [(f"now do action {i} at once", f"intent_{i % 5}") for i in range(20)]  # also in the test part
    _write(folder / "nlu/train.csv", "".join(f"{text},{intent}\n" for text, intent in texts))
    examples = [{"text": f"now do action {i} at once", "intent": f"intent_{i % 5}"} for i in range(40)]
    _write(folder / "nlu/test.json", {"rasa_nlu_data": {"common_examples": examples}})
    return folder / "nlu"


def test_sentences_of_the_test_part_are_only_asked_in_the_test(tmp_path):
    manifest = build({"nlu": nlu(tmp_path)}, tmp_path / "out", SMALL)
    train, test = (load(tmp_path / "out", split=split) for split in ("train", "test"))
    asked = {q.text.split("\n")[0].removeprefix("Sentence: ") for i in range(len(test)) for q in test[i].questions}
    assert asked
    assert all(text.startswith("now do action") for text in asked)
    told = [c.text for data in (train, test) for i in range(len(data)) for c in data[i].chunks]
    told += [q.text for i in range(len(train)) for q in train[i].questions]
    assert not any("now do action" in text for text in told)
    assert sorted(manifest["sources"]["nlu"]["labels"].values()) == [f"intent_{i}" for i in range(5)]


def test_without_a_test_part_a_tenth_of_the_sentences_is_held_out(tmp_path):
    build({"nlu": nlu(tmp_path) / "train.csv"}, tmp_path / "out", SMALL)
    train, test = (load(tmp_path / "out", split=split) for split in ("train", "test"))
    asked = {q.text.split("\n")[0] for i in range(len(test)) for q in test[i].questions}
    train_text = "\n".join(
        [c.text for i in range(len(train)) for c in train[i].chunks]
        + [q.text for i in range(len(train)) for q in train[i].questions]
    )
    assert asked
    assert not asked & set(train_text.split("\n"))


def test_chunk_questions_can_be_left_out(tmp_path):
    build({"nlu": nlu(tmp_path)}, tmp_path / "out", BuildSettings(instances=1, chunk_questions="none"))
    assert "chunk_questions" not in pyarrow.parquet.read_schema(tmp_path / "out/train.parquet").names


WRONG = {
    "squad": ("x.json", {"version": "1.1"}),
    "hotpotqa": ("x.json", [{"question": "?"}]),
    "pubmed": ("x.txt", "no tab here\n"),
    "nlu": ("x.csv", "one,two,three\n"),
    "trec": ("x.label", "nolabel here\n"),
    "banking77": ("x.csv", "a,b\n1,2\n"),
    "clinc150": ("x.json", {"train": [["one"]]}),
    "books": ("x.jsonl", '{"document": 1}\n'),
    "lme": ("x.json", []),
}


@pytest.mark.parametrize("source", WRONG)
def test_a_file_of_another_form_is_refused_by_name_with_what_was_expected(source, tmp_path):
    name, content = WRONG[source]
    with pytest.raises(DataError, match=rf"{name}: expected"):
        READERS[source](_write(tmp_path / name, content))


def test_a_missing_file_or_folder_is_refused(tmp_path):
    for source in READERS:
        with pytest.raises(DataError):
            READERS[source](tmp_path / "nowhere")


def test_settings_and_sources_are_checked(tmp_path):
    with pytest.raises(SettingsError, match="Did you mean 'squad'"):
        build({"squat": tmp_path}, tmp_path / "out")
    with pytest.raises(SettingsError, match="at least one source"):
        build({}, tmp_path / "out")
    with pytest.raises(SettingsError, match="instances must be at least 1"):
        BuildSettings(instances=0)
    with pytest.raises(SettingsError, match="rules or none"):
        BuildSettings(chunk_questions="model")  # type: ignore[arg-type]


def test_a_build_without_an_instance_is_an_error_and_leaves_nothing(tmp_path):
    with pytest.raises(DataError, match=r"fewer than 50 questions.*--small"):
        build({"squad": squad_json(tmp_path, 2)}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_says_what_came_out(tmp_path, capsys):
    main(["data", "build", "memalpha", "--squad", str(squad_json(tmp_path)), "--small", "--out", str(tmp_path / "out")])
    said = capsys.readouterr().out
    assert "licence CC BY-SA 4.0" in said
    assert (tmp_path / "out/train.evidence.jsonl").is_file()
    with pytest.raises(SystemExit):
        main(["data", "--help"])
    listed = capsys.readouterr().out
    assert "• build" in listed
    assert "• chunk-questions" in listed


REAL = {
    "squad": ["squad/squad_v1.1.articles-A.json", "rebuilt_hf_flat/rajpurkar_squad.parquet"],
    "hotpotqa": ["hotpotqa/hotpot_train_distractor.50-A.json", "rebuilt_hf_flat/hotpot_qa.parquet"],
    "pubmed": [
        "csabstruct/csabstruct.A.jsonl",
        "rebuilt_hf_flat/pubmed_200k_rct_schema.parquet",
        "rebuilt_hf_flat/pubmed_rct_format.txt",
    ],
    "nlu": ["nlu_evaluation_data"],
    "trec": ["rebuilt_hf_flat/trec_format.label"],
    "banking77": ["banking77"],
    "clinc150": ["clinc150"],
    "books": ["rebuilt_hf_flat/booksum_complete_cleaned_chapters.parquet", "squality/dev.jsonl", "booksort/full_text"],
    "perltqa": ["perltqa"],
    "lme": ["rebuilt_longmemeval_schema/longmemeval_combined_train_v2.rebuilt_from_locomo.json"],
}


@pytest.mark.parametrize(("source", "path"), [(source, path) for source, paths in REAL.items() for path in paths])
def test_every_real_source_becomes_streams(source, path, shared, tmp_path):
    manifest = build({source: shared / "data" / path}, tmp_path, BuildSettings(instances=1, small=True))
    stream = load(tmp_path)[0]
    assert manifest["files"]["train"]["instances"] == 1
    assert stream.T >= 2
    assert stream.questions
    assert manifest["files"]["train"]["chunk_questions"] >= 3 * stream.T
    if source != "lme":  # its layout says nothing about evidence
        assert all(question.evidence for question in stream.questions)
    assert manifest["sources"][source]["non_commercial"] == (source == "perltqa")


def test_every_squad_answer_of_the_real_articles_stands_in_its_evidence_chunk(shared, tmp_path):
    raw = shared / "data/squad/squad_v1.1.articles-A.json"
    build({"squad": raw}, tmp_path, BuildSettings(chunk_questions="none"))
    streams = load(tmp_path)
    asked = [(s, q) for s in (streams[i] for i in range(len(streams))) for q in s.questions]
    assert len(asked) > 1000
    assert all(q.references[0] in s.chunks[q.evidence[0].step].text for s, q in asked)
