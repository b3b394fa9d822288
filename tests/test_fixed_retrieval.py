"""Retrieval without ranking, and the oracle that reads the evidence alone."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from suite_arms import FACTS, Noting, room

from agents.evidence import EvidenceKeeper, evidence_of
from memenvs import Episode, EpisodeRecord, EpisodeSettings
from memenvs.errors import ReaderError, SettingsError
from memenvs.memory import EverythingRetriever, EvidenceRetriever, MemoryBank, Operation
from memenvs.reading import ExtractiveReader
from memenvs.streams import Chunk, Evidence, Question, Stream, StreamList, load
from trainers.pairing import pair
from trainers.rescoring import RECORDED, Missing, scores_again, unscored
from trainers.suites.arms import NOT_ASKED, play

MOVES = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from(["INSERT", "UPDATE", "DELETE"]), st.text("ab", min_size=1, max_size=3), st.integers(0, 9)
        ),
        max_size=4,
    ),
    max_size=6,
)


@settings(max_examples=200)
@given(MOVES, st.integers(0, 5))
def test_everything_is_the_memory_in_its_order_whatever_was_written(moves, back_to):
    bank, retriever = MemoryBank(), EverythingRetriever()
    snapshots = [bank.snapshot()]
    for step in moves:
        ids = [item.id for item in bank.items]
        operations = [
            Operation(op, None if op == "DELETE" else text, ids[n % len(ids)] if op != "INSERT" and ids else None)
            for op, text, n in step
        ]
        retriever.follow(bank.apply(operations).changes)
        assert [item for _, item in retriever.top_k("whatever", 1)] == list(bank.items)
        snapshots.append(bank.snapshot())
    bank.restore(snapshots[min(back_to, len(moves))])
    retriever.restore(bank.items)
    assert [item for _, item in retriever.top_k("", 1)] == list(bank.items)
    assert [(f.id, f.step, f.created) for f, _ in retriever.top_k("", 1)] == [
        (i.id, i.step, i.created) for i in bank.items
    ]


def test_evidence_is_found_by_its_step_and_text_and_by_nothing_else():
    retriever = EvidenceRetriever({"q": [(1, "b"), (0, "a"), (1, "b"), (2, "a")]})
    bank = MemoryBank()
    for texts in (["a", "b"], ["b", "c"], []):
        retriever.follow(bank.apply([Operation("INSERT", text) for text in texts]).changes)
    assert [found.id for found, _ in retriever.top_k("q", 1)] == ["1.0", "0.0"]
    assert retriever.top_k("another question", 9) == ()


def test_an_episode_can_read_everything_by_a_setting_and_the_evidence_by_a_retriever():
    stream = room()
    episode = Episode(stream, EpisodeSettings(retrieval="everything", k=1))
    for text in FACTS:
        readings = episode.act(json.dumps([{"op": "INSERT", "content": text}]))
        episode.answer(ExtractiveReader().read(readings))
    assert [[content for _, content in reading.items] for reading in readings] == [list(FACTS)] * 3
    assert episode.record().settings["retrieval"] == "everything"
    with pytest.raises(SettingsError, match=r'retrieval="evidence" needs the evidence: .*EvidenceRetriever'):
        Episode(stream, EpisodeSettings(retrieval="evidence"))
    with pytest.raises(SettingsError, match="'everything', the settings say retrieval='default'"):
        Episode(stream, EpisodeSettings(), retriever=EverythingRetriever())
    with pytest.raises(
        SettingsError, match="retrieval must be one of default, .* everything, evidence, got 'evrything'"
    ):
        EpisodeSettings(retrieval="evrything")


def test_evidence_is_the_sentence_where_it_is_known_and_else_the_chunk():
    assert evidence_of(room()) == {
        "What does Ann like?": [(0, "Ann likes tea.")],
        "What does Bob play?": [(1, FACTS[1])],
    }
    with pytest.raises(SettingsError, match="needs the stream"):
        EvidenceKeeper().reset(0)


def test_the_oracle_reads_exactly_the_evidence_and_asks_nothing_that_has_none():
    reader = Noting()
    record = play("oracle_evidence", StreamList([room()]), 0, EpisodeSettings(k=1), reader)
    assert [(reading.question, [text for _, text in reading.items]) for reading in reader.seen] == [
        ("What does Ann like?", ["Ann likes tea."]),
        ("What does Bob play?", [FACTS[1]]),
    ]
    assert record.settings[NOT_ASKED] == [2]
    assert (record.questions[2].prediction, record.questions[2].score, record.questions[2].failure) == (
        None,
        None,
        None,
    )
    assert record.failure is None
    assert EpisodeRecord.from_json(record.to_json()) == record
    assert scores_again(record, "memalpha-eval")[2] == scores_again(record, RECORDED)[2] == Missing.NOT_ASKED
    assert unscored([record], "corrected") == {"not asked": 1}
    plain = play("keep_everything", StreamList([room()]), 0, EpisodeSettings(), reader)
    assert len(pair([record], [plain]).streams) == 1


def test_where_no_evidence_is_known_nothing_is_asked():
    stream = Stream("s", "squad", (Chunk("A."),), (Question("Who?", ("x",), "squad"),))
    reader = Noting()
    record = play("oracle_evidence", StreamList([stream]), 0, EpisodeSettings(), reader)
    assert (reader.seen, record.memory, record.settings[NOT_ASKED], record.failure) == ([], (), [0], None)


@pytest.mark.parametrize("whole", [False, True])
def test_a_failed_question_of_the_oracle_stays_a_failure(whole):
    class Broken(Noting):
        def read(self, readings):
            if whole:
                raise ReaderError("no server")
            from memenvs.reading import Answer

            return [Answer("tea"), *[Answer("", failure="timed out")] * (len(readings) - 1)]

    record = play("oracle_evidence", StreamList([room()]), 0, EpisodeSettings(), Broken(), questions=[2, 0, 1])
    assert record.settings[NOT_ASKED] == [0]
    assert record.failure == ("ReaderError: no server" if whole else "timed out")
    assert [q.score for q in record.questions] == ([None] * 3 if whole else [None, 1.0, None])


def test_questions_of_one_text_share_their_evidence():
    questions = (
        Question("Who?", ("a",), "squad", (Evidence(0),)),
        Question("Who?", ("b",), "squad", (Evidence(1, "b."),)),
    )
    stream = Stream("s", "squad", (Chunk("a."), Chunk("b. c.")), questions)
    reader = Noting()
    play("oracle_evidence", StreamList([stream]), 0, EpisodeSettings(), reader)
    assert [[text for _, text in reading.items] for reading in reader.seen] == [["a.", "b."]] * 2


def test_on_real_streams_the_oracle_reads_the_chunks_that_the_data_names(shared):
    dataset = load(str(shared / "data/rebuilt_memalpha_schema"), "test")
    asked = 0
    for index in range(len(dataset)):
        stream, reader = dataset[index], Noting()
        record = play("oracle_evidence", dataset, index, EpisodeSettings(), reader)
        known = [q for q in stream.questions if q.evidence]
        asked += len(known)
        wanted = [list(dict.fromkeys(stream.chunks[e.step].text for e in q.evidence)) for q in known]
        assert [[text for _, text in reading.items] for reading in reader.seen] == wanted
        assert len(record.settings.get(NOT_ASKED, ())) == len(stream.questions) - len(known)
    assert asked == 317
