"""The reading cache: what it counts, whose ids it cites, what it never keeps."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memenvs.errors import ReaderError, SettingsError
from memenvs.reading import Answer, CachedReader, ExtractiveReader, Reading


class LastItem:
    """Answers with the last item's text and cites all items from the last to the first; notes what it was asked."""

    name = "last item"

    def __init__(self):
        self.asked = []

    def read(self, readings):
        self.asked += readings
        return [Answer(r.items[-1][1] if r.items else "", tuple(i for i, _ in r.items[::-1])) for r in readings]


class Likely(LastItem):
    """Finds each word of an answer the likelier the more items hold it."""

    name = "likely"

    def token_log_probs(self, readings, answers):
        self.asked += zip(readings, answers, strict=True)
        return [
            tuple(math.log((1 + sum(word in text for _, text in r.items)) / (2 + len(r.items))) for word in answer.split())
            for r, answer in zip(readings, answers, strict=True)
        ]  # fmt: skip


def reading(question, *texts, ids=None, source=""):
    return Reading(question, tuple(zip(ids or [f"0.{n}" for n in range(len(texts))], texts, strict=True)), source)


def test_each_question_and_evidence_is_asked_once_also_within_one_batch():
    inner = LastItem()
    reader = CachedReader(inner)
    assert reader.name == "last item"
    first, second = reading("q", "a", "b"), reading("q", "b")
    assert [answer.text for answer in reader.read([first, second, first])] == ["b", "b", "b"]
    assert (reader.requests, reader.calls) == (3, 2)
    reader.read([second, first, reading("q")])
    assert (reader.requests, reader.calls) == (6, 3)
    assert inner.asked == [first, second, reading("q")]
    assert reader.read([]) == []
    assert (reader.requests, reader.calls) == (6, 3)


@pytest.mark.parametrize(
    "other",
    [reading("Q", "a", "b"), reading("q", "b", "a"), reading("q", "a"), reading("q", "a", "b", source="squad"),
     reading("q", "a", "b", "b"), reading("q", "ab")],
)  # fmt: skip
def test_another_question_source_text_or_order_is_another_reading(other):
    reader = CachedReader(LastItem())
    reader.read([reading("q", "a", "b"), other])
    assert reader.calls == 2


def test_citations_are_ids_of_the_items_given_this_time():
    reader = CachedReader(LastItem())
    assert reader.read([reading("q", "a", "b", ids=["0.0", "1.0"])]) == [Answer("b", ("1.0", "0.0"))]
    assert reader.read([reading("q", "a", "b", ids=["7.1", "3.0"])]) == [Answer("b", ("3.0", "7.1"))]
    assert reader.calls == 1


def test_of_equal_texts_the_one_in_the_cited_place_is_cited():
    class Second(LastItem):
        def read(self, readings):
            return [Answer("x", (r.items[1][0],)) for r in readings]

    reader = CachedReader(Second())
    for ids in (["0.0", "0.1", "0.2"], ["2.0", "1.0", "0.0"]):
        assert reader.read([reading("q", "x", "x", "x", ids=ids)])[0].evidence_ids == (ids[1],)
    # In one batch too, where only one of the two is put to the reader.
    batch = [reading("p", "x", "x", ids=["4.0", "4.1"]), reading("p", "x", "x", ids=["4.1", "4.0"])]
    assert [answer.evidence_ids for answer in reader.read(batch)] == [("4.1",), ("4.0",)]


ids = st.permutations(["0.0", "0.1", "1.0", "1.1"])
batches = st.lists(
    st.builds(
        lambda question, texts, ids: reading(question, *texts, ids=ids[: len(texts)]),
        st.sampled_from(["What does Ann like?", "Who likes jazz?"]),
        st.lists(st.sampled_from(["Ann likes tea.", "Bob likes jazz.", "It rained."]), max_size=4),
        ids,
    ),
    max_size=6,
)


@given(st.lists(batches, max_size=4))
def test_answers_equal_those_of_the_reader_without_a_cache(asked):
    reader = CachedReader(ExtractiveReader())
    for batch in asked:
        assert reader.read(batch) == ExtractiveReader().read(batch)
    unique = {(r.question, tuple(text for _, text in r.items)) for batch in asked for r in batch}
    assert (reader.calls, reader.requests) == (len(unique), sum(map(len, asked)))


class Unwell(Likely):
    """Does what its test tells it to."""

    def __init__(self, result):
        super().__init__()
        self.result = result

    def read(self, readings):
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    def token_log_probs(self, readings, answers):
        return self.read(readings)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (ReaderError("503"), "^503$"),
        (TimeoutError("too slow"), "'likely' raised TimeoutError: too slow"),
        ([Answer("a")], "expected 2 answers, one per reading; the reader 'likely' gave 1"),
        ([Answer("a"), Answer("b", ("9.9",))], r"it cited \['9.9'\], which it was not given"),
        ([Answer("a"), "b"], "expected an Answer, got str"),
        (None, "gave NoneType"),
    ],
)
def test_a_failing_reader_raises_and_leaves_nothing_behind(result, message):
    inner = Unwell(result)
    reader = CachedReader(inner)
    batch = [reading("q", "a"), reading("q", "b")]
    with pytest.raises(ReaderError, match=message):
        reader.read(batch)
    assert (reader.calls, reader.requests) == (0, 0)
    inner.result = [Answer("well"), Answer("again")]
    assert [answer.text for answer in reader.read(batch)] == ["well", "again"]
    assert reader.calls == 2


def test_what_was_known_before_a_failure_stays_known():
    inner = Unwell([Answer("a")])
    reader = CachedReader(inner)
    reader.read([reading("q", "a")])
    inner.result = TimeoutError()
    with pytest.raises(ReaderError):
        reader.read([reading("q", "a"), reading("q", "b")])
    assert reader.read([reading("q", "a")]) == [Answer("a")]


def test_probabilities_are_kept_by_reading_and_answer():
    inner = Likely()
    reader = CachedReader(inner)
    known, other = reading("q", "ann tea", "bob jazz"), reading("q", "ann tea", "bob jazz", ids=["5.0", "6.0"])
    expected = [(math.log(2 / 4), math.log(1 / 4)), (math.log(2 / 4),), (math.log(2 / 4), math.log(1 / 4))]
    assert reader.token_log_probs([known, known, other], ["tea please", "jazz", "tea please"]) == expected
    assert (reader.requests, reader.calls) == (3, 2)
    assert reader.token_log_probs([other], ["jazz"]) == expected[1:2]
    assert (reader.requests, reader.calls, len(inner.asked)) == (4, 2, 2)
    # Answering is another call than rating an answer.
    reader.read([known])
    assert (reader.requests, reader.calls) == (5, 3)
    assert reader.token_log_probs([], []) == []


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (ReaderError("503"), "^503$"),
        (KeyError("token"), "'likely' raised KeyError"),
        ([(-1.0,)], "expected 2 tuples of log-probabilities, one per reading; the reader 'likely' gave 1"),
        ([(-1.0,), ()], "at least one log-probability, .* per answer"),
        ([(-1.0,), (-1.0, math.nan)], "finite and at most 0"),
        ([(-1.0,), (-math.inf,)], "finite and at most 0"),
        ([(-1.0,), (0.25,)], "finite and at most 0"),  # a probability, not its logarithm
        ([(-1.0,), -1.0], "got -1.0"),
        ([(-1.0,), ("-1",)], "finite and at most 0"),
    ],
)
def test_unsound_probabilities_are_refused_and_not_kept(result, message):
    inner = Unwell(result)
    reader = CachedReader(inner)
    batch, answers = [reading("q", "a"), reading("q", "b")], ["x", "x"]
    with pytest.raises(ReaderError, match=message):
        reader.token_log_probs(batch, answers)
    assert (reader.calls, reader.requests) == (0, 0)
    inner.result = [(-2.0,), (-3, -0.5)]
    assert reader.token_log_probs(batch, answers) == [(-2.0,), (-3.0, -0.5)]
    assert reader.calls == 2


def test_a_reader_without_probabilities_says_so_and_what_works_instead():
    reader = CachedReader(ExtractiveReader())
    with pytest.raises(
        SettingsError, match="'extractive' gives no probabilities: it needs token_log_probs.*0/1 scores"
    ):
        reader.token_log_probs([reading("q", "a")], ["a"])


def test_each_reading_needs_its_answer():
    with pytest.raises(SettingsError, match="expected 2 answers, one per reading, got 1"):
        CachedReader(Likely()).token_log_probs([reading("q", "a"), reading("q", "b")], ["a"])
