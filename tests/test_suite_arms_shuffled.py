"""The control that answers from another stream's memory."""

import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from suite_arms import Noting, rooms

from memenvs import EpisodeSettings
from memenvs.errors import SettingsError
from memenvs.reading import ExtractiveReader
from memenvs.streams import load
from trainers.pairing import pair
from trainers.suites.arms import ArmUnavailable, find_arm, play
from trainers.suites.arms_shuffled import derangement, partners

GROUPS = st.lists(st.sampled_from("abcde"), min_size=2, max_size=30)


@settings(max_examples=300)
@given(GROUPS, st.integers(0, 2**31))
def test_everybody_gets_the_memory_of_somebody_else_and_each_is_used_once(groups, seed):
    found = derangement(groups, seed)
    assert sorted(found) == list(range(len(groups)))
    assert all(place != other for place, other in enumerate(found))


@settings(max_examples=300)
@given(GROUPS, st.integers(0, 2**31))
def test_memories_stay_within_a_group_of_several(groups, seed):
    found = derangement(groups, seed)
    crossing = [i for i, other in enumerate(found) if groups.count(groups[i]) > 1 and groups[other] != groups[i]]
    singles = [group for group in set(groups) if groups.count(group) == 1]
    # A single one of its group has nobody to change with but one member of another group.
    assert len(crossing) == (1 if len(singles) == 1 else 0)


CONTENTS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 4)), min_size=1, max_size=20)


@settings(max_examples=300)
@given(CONTENTS, st.integers(0, 2**31))
def test_nobody_gets_the_same_content_under_another_name(places, seed):
    groups, contents = [group for group, _ in places], [content for _, content in places]
    most = max(contents.count(content) for content in contents)
    if 2 * most > len(places):
        with pytest.raises(ArmUnavailable, match=f"of {len(places)} streams {most} have the same chunks"):
            derangement(groups, seed, contents)
        return
    found = derangement(groups, seed, contents)
    assert sorted(found) == list(range(len(places)))
    assert all(contents[place] != contents[other] for place, other in enumerate(found))


def test_two_benchmarks_over_one_text_do_not_get_each_others_memory():
    groups = ["single-hop 6k", "multi-hop 6k", "single-hop 32k", "multi-hop 32k"]
    ways = {tuple(derangement(groups, seed, ["6k", "6k", "32k", "32k"])) for seed in range(30)}
    assert ways == {(2, 3, 0, 1), (3, 2, 1, 0)}


def test_the_only_way_to_shuffle_two_and_other_ways_for_more():
    assert derangement(["a", "a"], 0) == [1, 0]
    assert derangement(["a", "b"], 0) == [1, 0]
    assert {tuple(derangement(["a"] * 3, seed)) for seed in range(20)} == {(1, 2, 0), (2, 0, 1)}


def test_who_gets_whose_memory_depends_on_the_seed_alone():
    code = "from trainers.suites.arms_shuffled import derangement; print(derangement(list('abcabcdaabcc'), 7))"
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert printed == {f"{derangement(list('abcabcdaabcc'), 7)}\n"}


@pytest.mark.parametrize("name", ["keep_everything", "rag", "long_context", "random", "last", "hindsight"])
def test_the_memory_is_the_one_that_the_arm_makes_of_the_other_stream(name):
    dataset = rooms("a", "b", "a", "a")
    chosen = EpisodeSettings(k=2)
    for index in (0, 2, 3):
        record = play(f"shuffled:{name}", dataset, index, chosen, Noting(), seed=5, budget=12)
        other = record.settings["memory_of"]["stream_index"]
        assert other in {0, 1, 2, 3} - {index}
        assert other == partners(dataset, 5)[index]
        assert record.memory == play(name, dataset, other, chosen, Noting(), seed=5, budget=12).memory
        assert record.settings["memory_of"]["stream"] == dataset[other].id
        assert [q.question for q in record.questions] == [q.text for q in dataset[index].questions]


def test_shuffled_and_plain_episodes_are_compared_stream_by_stream():
    dataset = load("builtin", "test")
    chosen, streams = EpisodeSettings(), range(6)
    plain, shuffled = (
        [play(name, dataset, i, chosen, ExtractiveReader(), streams=streams) for i in streams]
        for name in ("keep_everything", "shuffled")
    )
    assert len(pair(plain, shuffled).streams) == 6
    assert {record.settings["memory_of"]["stream_index"] for record in shuffled} == set(streams)
    assert all(a.r_global > b.r_global for a, b in zip(plain, shuffled, strict=True))


def test_shuffled_takes_the_agent_under_test():
    class Last:
        name = "last chunk"

        def reset(self, seed, stream=None):
            self.heard = stream.id

        def act(self, observation, info):
            return '[{"op": "INSERT", "content": "%s"}]' % (self.heard if observation["step"] == 2 else "not yet")

    dataset = rooms("a", "a")
    record = play("shuffled", dataset, 0, EpisodeSettings(), Noting(), agent=Last())
    assert [item.content for item in record.memory] == ["not yet", "not yet", "a/1"]
    assert record.settings["agent"] == "last chunk"
    assert play("shuffled", dataset, 0, EpisodeSettings(), Noting()).settings["agent"] == "keep_everything"


def test_what_cannot_be_shuffled():
    with pytest.raises(ArmUnavailable, match="memory of another stream; of 1 streams 1 have the same"):
        play("shuffled", rooms("a"), 0, EpisodeSettings(), Noting())
    with pytest.raises(ArmUnavailable, match="of 1 streams 1 have the same"):
        play("shuffled", rooms("a", "a"), 0, EpisodeSettings(), Noting(), streams=[0])
    with pytest.raises(SettingsError, match="stream 0 is not among the 2 streams that take part"):
        play("shuffled", rooms("a", "a", "a"), 0, EpisodeSettings(), Noting(), streams=[1, 2])
    with pytest.raises(SettingsError, match="1000000 streams: say which take part"):
        play("shuffled", load("builtin", "test"), 0, EpisodeSettings(), Noting())
    for name in ("shuffled:oracle_evidence", "shuffled:shuffled"):
        with pytest.raises(SettingsError, match="cannot be shuffled"):
            find_arm(name)
