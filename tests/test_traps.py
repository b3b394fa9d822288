"""The traps of the real files, as the notes beside them list them: each is there, and each is read for what it is."""

from __future__ import annotations

import csv
import json
import re

import pytest
from conftest import SHARED
from published_files import locomo_conversation, longmemeval_instance, perltqa_files, write_json

from memenvs.errors import DataError
from memenvs.scoring import score
from memenvs.streams import load
from trainers.data_build.memalpha import BuildSettings, build
from trainers.data_build.raw import READERS

DATA = SHARED / "data"
LOCOMO = DATA / "locomo/locomo10.3conv-A.json"
LONGMEMEVAL = DATA / "longmemeval/longmemeval_s.single_e47becba.json"
FACTS = DATA / "memoryagentbench/factconsolidation_6k_context.txt"
real = pytest.mark.skipif(not DATA.is_dir(), reason=f"needs the folder of real data at {DATA} (or MEMENVS_SHARED)")
pytest.importorskip("pyarrow")


def locomo_pairs():
    """(published question, our question) of every conversation."""
    published = json.loads(LOCOMO.read_text(encoding="utf-8"))
    streams = list(load(LOCOMO))
    return [
        (entry, question)
        for conversation, stream in zip(published, streams, strict=True)
        for entry, question in zip(conversation["qa"], stream.questions, strict=True)
    ]


@real
def test_category_5_has_no_answer_and_is_right_if_the_prediction_says_so():
    without = [(entry, q) for entry, q in locomo_pairs() if "answer" not in entry]
    assert without
    assert {entry["category"] for entry, _ in without} == {5}
    for entry, question in without:
        assert question.source == "locomo-5"
        assert score("Not mentioned in the conversation.", question.references, question.source) == 1
        if entry["adversarial_answer"] != "Not mentioned":  # what one of them says it would be wrong to say
            assert score(entry["adversarial_answer"], question.references, question.source) == 0


@real
def test_integer_answers_are_texts():
    numbers = [(entry, q) for entry, q in locomo_pairs() if isinstance(entry.get("answer"), int)]
    assert numbers
    assert all(q.references == (str(entry["answer"]),) for entry, q in numbers if entry["category"] != 5)


@real
def test_malformed_evidence_is_read_as_far_as_it_can_be_and_noted():
    pairs = locomo_pairs()
    whole = re.compile(r"D\d+:\d+")
    odd = [(e, q) for e, q in pairs if not all(whole.fullmatch(one) for one in e["evidence"])]
    assert odd
    noted = [problem for stream in load(LOCOMO) for problem in stream.metadata["problems"]]
    for entry, question in odd:
        ids = {f"D{int(a)}:{int(b)}" for one in entry["evidence"] for a, b in re.findall(r"D:?(\d+):(\d+)", one)}
        assert len(question.evidence) <= len(ids)
        assert any(str(entry["evidence"][0])[:5] in problem or "evidence" in problem for problem in noted)


def test_each_way_of_writing_evidence_that_the_published_file_has(tmp_path):
    turns = [
        {"speaker": "A", "dia_id": f"D{n}:{m}", "text": f"{n}-{m}"} for n, m in ((8, 6), (9, 17), (11, 26), (30, 5))
    ]
    for written, said in (("D8:6; D9:17", ["A: 8-6", "A: 9-17"]), ("D8:6 D9:17", ["A: 8-6", "A: 9-17"]), ("D:11:26", ["A: 11-26"]),
                          ("D30:05", ["A: 30-5"]), ("D", []), ("D1:1", [])):  # fmt: skip
        entry = {"question": "q", "answer": "a", "evidence": [written], "category": 1}
        changed = locomo_conversation(conversation={"session_1": turns}, qa=[entry])
        stream = load(write_json(tmp_path / "locomo10.json", [changed]))[0]
        assert [evidence.text for evidence in stream.questions[0].evidence] == said, written
        assert stream.metadata["problems"], written


@real
def test_session_dates_without_a_session_make_no_chunk():
    published = json.loads(LOCOMO.read_text(encoding="utf-8"))
    for conversation, stream in zip(published, load(LOCOMO), strict=True):
        told = conversation["conversation"]
        dates = [name for name in told if name.endswith("_date_time")]
        sessions = [name for name, value in told.items() if re.fullmatch(r"session_\d+", name) and value]
        assert len(sessions) == stream.T
        bare = len(dates) - len(sessions)
        assert (f"{bare} session dates without a session" in stream.metadata["problems"]) == (bare > 0)


@real
def test_photos_are_told_by_their_captions_and_their_addresses_are_not():
    published = json.loads(LOCOMO.read_text(encoding="utf-8"))
    photos = 0
    for conversation, stream in zip(published, load(LOCOMO), strict=True):
        text = "\n".join(chunk.text for chunk in stream.chunks)
        for name, turns in conversation["conversation"].items():
            for turn in turns if re.fullmatch(r"session_\d+", name) else []:
                if turn.get("blip_caption"):
                    photos += 1
                    assert turn["blip_caption"] in text
                assert not any(url in text for url in turn.get("img_url") or [])
    assert photos


@real
def test_blank_lines_in_banking77_do_not_break_its_examples(tmp_path):
    with (DATA / "banking77/train.csv").open(encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    assert any("\n\n" in text for text in texts)
    pairs = READERS["banking77"](DATA / "banking77").records["train"]
    assert len(pairs) == len(texts)
    assert not any("\n" in text for text, _ in pairs)
    build({"banking77": DATA / "banking77"}, tmp_path, BuildSettings(instances=1, chunk_questions="none"))
    for chunk in load(tmp_path)[0].chunks:
        blocks = [block for block in chunk.text.split("\n\n") if "Label:" in block]
        assert len(blocks) == chunk.text.count("Sentence:") == chunk.text.count("Label:")


@real
def test_the_first_line_of_nlu_is_an_example_and_no_header():
    path = DATA / "nlu_evaluation_data/WatsonNluIntentsMerged.fold1_train.csv"
    with path.open(encoding="utf-8", newline="") as file:
        first = next(csv.reader(file))
    assert tuple(first) == READERS["nlu"](path).records["train"][0]


@real
def test_has_answer_on_some_turns_marks_the_evidence():
    published = json.loads(LONGMEMEVAL.read_text(encoding="utf-8"))[0]
    turns = [turn for session in published["haystack_sessions"] for turn in session]
    assert 0 < sum("has_answer" in turn for turn in turns) < len(turns)
    marked = [turn["content"] for turn in turns if turn.get("has_answer")]
    assert [e.text for e in load(LONGMEMEVAL)[0].questions[0].evidence] == marked


def test_answers_of_longmemeval_may_be_integers(tmp_path):
    stream = load(write_json(tmp_path / "s.json", [longmemeval_instance(answer=3)]))[0]
    assert stream.questions[0].references == ("3",)
    assert score("It was 3 times.", stream.questions[0].references, stream.questions[0].source) == 1


def test_perltqa_is_an_object_by_name_or_a_list(tmp_path):
    memories, _ = perltqa_files(tmp_path)
    by_name = load(tmp_path, split="test")[0]
    write_json(memories, list(json.loads(memories.read_text()).values()))
    listed = load(tmp_path, split="test")[0]
    assert (listed.id, listed.fingerprint) == (by_name.id, by_name.fingerprint)
    write_json(memories, "Li")
    with pytest.raises(DataError, match=r"perltmem_en_v2\.json: expected an object by name or a list of objects"):
        load(tmp_path, split="test")


@real
@pytest.mark.parametrize("tokens", [1, 40, 4096])
def test_facts_keep_their_two_stops_and_their_spelling_however_they_are_cut(tokens):
    text = " ".join(chunk.text for chunk in load(FACTS, chunk_size=tokens)[0].chunks)
    flat = " ".join(FACTS.read_text(encoding="utf-8").split())
    assert "5. Pedro Pierluisi worked in the city of Washington, D.C.. 6. " in flat
    assert "univeristy" in flat
    assert "origianl" in flat
    assert " ".join(text.split()) == flat


def test_a_question_that_cannot_be_read_is_named_by_file_row_and_field(tmp_path):
    broken = locomo_conversation(qa=[{"question": "Why?", "answer": None, "evidence": [], "category": 4}])
    path = write_json(tmp_path / "locomo10.json", [locomo_conversation(), broken])
    with pytest.raises(DataError, match=r"locomo10\.json, row 1, field qa.*: expected an answer"):
        load(path)[1]
    rest = load(path, on_error="skip")
    assert (len(rest), [(one.file, one.row) for one in rest.skipped]) == (1, [("locomo10.json", 1)])
