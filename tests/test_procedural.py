"""Builtin streams: determinism, form, evidence, settings."""

from __future__ import annotations

import itertools
import json
import os
import random
import statistics
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from memenvs.errors import SettingsError
from memenvs.streams.procedural import FAMILIES, ProceduralSettings, ProceduralStreams
from memenvs.streams.procedural.plot import draw_plot
from memenvs.streams.procedural.threads import Fact
from memenvs.streams.sentences import sentences
from memenvs.streams.types import Stream, StreamDataset

SOURCES = {
    "accurate-retrieval": {"builtin-fact"},
    "conflict-resolution": {"builtin-fact"},
    "test-time-learning": {"builtin-label"},
    "long-range-understanding": {"builtin-summary", "builtin-count"},
}


def told(stream: Stream) -> list[str]:
    return [sentence for chunk in stream.chunks for sentence in sentences(chunk.text)]


# --- what makes a group: the same stream everywhere -----------------------------------------------------------------


def test_same_arguments_same_stream_whatever_was_made_before() -> None:
    first = ProceduralStreams(seed=3)
    other = ProceduralStreams(seed=3)
    wanted = first[5]
    for i in (0, 9, 4):
        other[i]
    assert other[5] == wanted
    assert other[5].fingerprint == wanted.fingerprint


def test_hash_seed_does_not_matter() -> None:
    code = (
        "from memenvs.streams.procedural import ProceduralStreams\n"
        "print([ProceduralStreams(T=8, relevance=0.5)[i].fingerprint for i in range(4)], ProceduralStreams().fingerprint)"
    )
    outputs = set()
    for seed in ("0", "1", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        outputs.add(done.stdout)
    assert len(outputs) == 1
    assert ProceduralStreams(T=8, relevance=0.5)[2].fingerprint in outputs.pop()


def test_index_seed_split_and_settings_all_change_the_stream() -> None:
    streams = [
        ProceduralStreams()[0],
        ProceduralStreams()[1],
        ProceduralStreams(seed=1)[0],
        ProceduralStreams(split="test")[0],
        ProceduralStreams(split="validation")[0],
        ProceduralStreams(relevance=0.5)[0],
    ]
    assert len({stream.fingerprint for stream in streams}) == len(streams)


def test_splits_share_no_stream() -> None:
    train = {stream.fingerprint for stream in (ProceduralStreams(split="train", T=4)[i] for i in range(200))}
    test = {stream.fingerprint for stream in (ProceduralStreams(split="test", T=4)[i] for i in range(200))}
    assert len(train) == len(test) == 200
    assert not train & test


def test_order_of_families_is_immaterial() -> None:
    a = ProceduralStreams(families=(FAMILIES[2], FAMILIES[0]))
    b = ProceduralStreams(families=(FAMILIES[0], FAMILIES[2]))
    assert a.fingerprint == b.fingerprint
    assert a[0] == b[0]


def test_fingerprint_follows_every_argument() -> None:
    variants: list[dict[str, object]] = [{}, {"seed": 1}, {"split": "test"}, {"length": 5}, {"T": 21}, {"sentences": 7}]
    variants += [{"questions": 5}, {"families": FAMILIES[:1]}, {"distractors": 0.5}, {"chunk_questions": 2}]
    variants += [{"relevance": 0.9}, {"timestamps": False}]
    assert len({ProceduralStreams(**variant).fingerprint for variant in variants}) == len(variants)


# --- form ----------------------------------------------------------------------------------------------------------


@hypothesis_settings(max_examples=60)
@given(
    index=st.integers(0, 999_999),
    T=st.integers(4, 30),
    size=st.integers(3, 9),
    questions=st.integers(1, 30),
    families=st.sets(st.sampled_from(FAMILIES), min_size=1).map(tuple),
    distractors=st.floats(0, 0.9),
    relevance=st.floats(0, 1),
    K=st.integers(0, 7),
)
def test_every_stream_is_well_formed(
    index: int,
    T: int,
    size: int,
    questions: int,
    families: tuple[str, ...],
    distractors: float,
    relevance: float,
    K: int,
) -> None:
    data = ProceduralStreams(
        T=T,
        sentences=size,
        questions=questions,
        families=families,
        distractors=distractors,
        relevance=relevance,
        chunk_questions=K,
    )
    stream = data[index]
    assert stream.T == data.max_steps == T
    split = [sentences(chunk.text) for chunk in stream.chunks]
    assert [len(part) for part in split] == [size] * T
    assert [" ".join(part) for part in split] == [chunk.text for chunk in stream.chunks]

    assert 1 <= len(stream.questions) <= questions
    assert len({question.text for question in stream.questions}) == len(stream.questions)
    assert len(stream.metadata["families"]) == len(stream.questions)
    for question, family in zip(stream.questions, stream.metadata["families"], strict=True):
        assert family in families
        assert question.source in SOURCES[family]
    for step, chunk in enumerate(stream.chunks):
        assert len(chunk.questions) <= K
        assert len({question.text for question in chunk.questions}) == len(chunk.questions)
        assert all(evidence.step == step for question in chunk.questions for evidence in question.evidence)
    for question in [*stream.questions, *(q for chunk in stream.chunks for q in chunk.questions)]:
        assert len(question.references) == 1
        assert question.references[0]
        assert 1 <= len(question.evidence) <= 4
        for evidence in question.evidence:
            assert evidence.text in split[evidence.step]
        holders = " ".join(evidence.text for evidence in question.evidence)
        if question.source == "builtin-count":
            assert question.references[0] == str(len(question.evidence))
        elif question.source == "builtin-summary":
            assert all(keyword in holders for keyword in question.references[0].split(", "))
        else:
            assert question.references[0] in holders
    json.dumps(dict(stream.metadata))


def test_is_a_stream_dataset() -> None:
    data = ProceduralStreams()
    assert isinstance(data, StreamDataset)
    assert (data.source, data.split, data.licence, data.max_steps) == ("builtin", "train", "MIT (generated)", 20)
    assert len(data) == 1_000_000


def test_indexing_like_a_list() -> None:
    data = ProceduralStreams(length=3, T=4)
    assert data[-1] == data[2]
    with pytest.raises(IndexError):
        data[3]
    with pytest.raises(IndexError):
        data[-4]
    assert [stream.id for stream in data] == ["builtin-train-0", "builtin-train-1", "builtin-train-2"]


def test_default_stream_has_the_mix_of_questions() -> None:
    stream = ProceduralStreams()[0]
    counts = {family: stream.metadata["families"].count(family) for family in FAMILIES}
    assert counts == dict(zip(FAMILIES, (8, 4, 2, 4), strict=True))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("T", "size", "distractors"), [(400, 6, 0.57), (150, 40, 0.0), (4, 3, 0.9), (4, 3, 0.0)])
def test_extreme_sizes_fill_up_without_a_name_or_an_answer_meaning_two_things(
    family: str, T: int, size: int, distractors: float
) -> None:
    stream = ProceduralStreams(T=T, sentences=size, distractors=distractors, families=(family,), questions=100)[0]
    assert [len(sentences(chunk.text)) for chunk in stream.chunks] == [size] * T
    assert stream.questions
    answers: dict[str, set[str]] = {}
    for question in stream.questions:
        answers.setdefault(question.text, set()).update(question.references)
    assert all(len(found) == 1 for found in answers.values())


def test_every_mix_of_families_fills_the_smallest_streams_exactly() -> None:
    for size, share, number in itertools.product(range(3, 9), (0.0, 0.05, 0.3, 0.9), range(1, len(FAMILIES) + 1)):
        for families in itertools.combinations(FAMILIES, number):
            stream = ProceduralStreams(T=4, sentences=size, distractors=share, families=families)[size]
            assert [len(sentences(chunk.text)) for chunk in stream.chunks] == [size] * 4


def test_a_fact_is_told_in_one_thread_only() -> None:
    """Two threads about the same attribute of the same subject would contradict each other."""
    for fields in ({}, {"T": 400, "distractors": 0.0, "families": FAMILIES[:1]}):
        plot = draw_plot(random.Random(1), ProceduralSettings(**fields))
        facts = [thread for thread in plot.threads if isinstance(thread, Fact)]
        assert len({(fact.subject, fact.attribute.name) for fact in facts}) == len(facts) > 20


def test_sentences_have_a_readable_length() -> None:
    data = ProceduralStreams()
    lengths = [len(sentence.split()) for i in range(10) for sentence in told(data[i])]
    assert min(lengths) >= 5
    assert max(lengths) <= 24
    assert 9 <= statistics.mean(lengths) <= 15


def test_timestamps_advance_or_are_absent() -> None:
    stamps = [chunk.timestamp for chunk in ProceduralStreams()[7].chunks]
    assert None not in stamps
    assert stamps == sorted(set(stamps), key=str)
    assert {chunk.timestamp for chunk in ProceduralStreams(timestamps=False)[7].chunks} == {None}


def test_updates_come_after_what_they_update() -> None:
    data = ProceduralStreams(families=("conflict-resolution",))
    for i in range(10):
        stream = data[i]
        order = {text: position for position, text in reversed(list(enumerate(told(stream))))}
        assert {j for j, _, _ in stream.metadata["stale"]} == set(range(len(stream.questions)))
        for j, step, text in stream.metadata["stale"]:
            (current,) = stream.questions[j].evidence
            assert text in stream.chunks[step].text
            assert order[text] < order[current.text]
            assert " now " in f" {current.text} " or "no longer" in current.text


def test_labels_are_drawn_anew_in_every_stream() -> None:
    data = ProceduralStreams(families=("test-time-learning",))
    labels = {frozenset(question.references[0] for question in data[i].questions) for i in range(5)}
    assert len(labels) == 5
    assert all(2 <= len(found) <= 4 for found in labels)


def test_label_questions_are_new_phrasings() -> None:
    stream = ProceduralStreams(families=("test-time-learning",))[0]
    everything = " ".join(told(stream))
    for question in stream.questions:
        request = question.text.split('"')[1]
        assert request not in everything
        assert len(set(request.split()) & set(question.evidence[0].text.replace('"', " ").split())) >= 2


def test_chunk_questions_are_worded_differently_from_global_ones() -> None:
    stream = ProceduralStreams(T=100)[0]
    asked = {question.text for question in stream.questions}
    chunk = [question.text for part in stream.chunks for question in part.questions]
    assert not asked & set(chunk)


def test_relevance_is_the_share_of_useful_chunk_questions() -> None:
    """Kinds of things: the words of a question without its names."""

    def kinds(relevance: float) -> set[str]:
        data = ProceduralStreams(relevance=relevance)
        return {
            " ".join(word for word in question.text.split() if word.islower())
            for i in range(12)
            for chunk in data[i].chunks
            for question in chunk.questions
            if question.source == "builtin-fact" and not question.text.startswith("Why")
        }

    useful, useless = kinds(1.0), kinds(0.0)
    assert useful
    assert useless
    assert not useful & useless
    assert kinds(0.5) & useful
    assert kinds(0.5) & useless


# --- settings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"T": 3}, "T must be a whole number from 4 to 400, got 3"),
        ({"T": 401}, "from 4 to 400"),
        ({"T": True}, "whole number"),
        ({"T": 20.0}, "whole number"),
        ({"sentences": 2}, "sentences must be"),
        ({"questions": 0}, "questions must be"),
        ({"chunk_questions": -1}, "chunk_questions must be"),
        ({"distractors": 0.95}, r"from 0.0 to 0.9"),
        ({"relevance": 1.5}, "relevance must be"),
        ({"relevance": float("nan")}, "relevance must be"),
        ({"families": ()}, "at least one"),
        ({"families": "accurate-retrieval"}, "tuple of names"),
        ({"families": ("acurate-retrieval",)}, "Did you mean 'accurate-retrieval'"),
        ({"timestamps": 1}, "True or False"),
        ({"relevence": 0.5}, "Did you mean 'relevance'"),
        ({"split": "dev"}, "unknown split"),
        ({"seed": "0"}, "seed must be"),
        ({"length": 0}, "length must be"),
        ({"settings": ProceduralSettings(), "T": 5}, "not both"),
    ],
)
def test_bad_settings_are_refused_with_the_way_out(fields: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        ProceduralStreams(**fields)


def test_settings_object_and_fields_are_the_same() -> None:
    assert ProceduralStreams(settings=ProceduralSettings(T=5))[1] == ProceduralStreams(T=5)[1]
    assert ProceduralStreams(families=["accurate-retrieval"]).settings.families == ("accurate-retrieval",)


def test_what_is_told_does_not_depend_on_how_chunks_are_asked_about() -> None:
    """Arms of a study that differ in the chunk questions alone must see the same streams."""
    base = ProceduralStreams(T=6)
    for change in ({"relevance": 0.5}, {"chunk_questions": 2}, {"timestamps": False}):
        other = ProceduralStreams(T=6, **change)
        for index in range(5):
            assert [c.text for c in other[index].chunks] == [c.text for c in base[index].chunks]
            assert other[index].questions == base[index].questions
        assert other.fingerprint != base.fingerprint
    asked = [
        [q.text for c in data[0].chunks for q in c.questions] for data in (base, ProceduralStreams(T=6, relevance=0.5))
    ]
    assert asked[0] != asked[1]
