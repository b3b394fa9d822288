"""``memenvs compare``: two agents over the same streams."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from memenvs.record import EpisodeRecord
from trainers.cli import main
from trainers.statistics import Tally, paired_bootstrap, paired_differences, tally

SMALL = ["--streams", "4", "--T", "4", "--records"]


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation")
    main(["evaluate", "--agents", "nothing", "hindsight", "first", *SMALL, "--out", str(folder)])
    return folder


def read(evaluation, agent):
    lines = (evaluation / "records" / f"{agent}.jsonl").read_text().splitlines()
    return [EpisodeRecord.from_json(line) for line in lines]


def write(path, records):
    path.write_text("".join(record.to_json() + "\n" for record in records))
    return str(path)


def compare(out, *arguments):
    main(["compare", *map(str, arguments), "--out", str(out)])
    return json.loads((out / "compared.json").read_text())


def scored(record, *scores, source="builtin-fact", **more):
    """The record with as many questions as scores."""
    questions = tuple(
        replace(record.questions[0], question=f"q{number}", source=source, score=score)
        for number, score in enumerate(scores)
    )
    return replace(record, questions=questions, **more)


def test_difference_and_counts_by_hand(evaluation, tmp_path):
    streams = read(evaluation, "first")[:3]
    a = [scored(r, *s) for r, s in zip(streams, [(1.0, 1.0), (0.5, 0.5), (0.0, 0.5)], strict=True)]
    b = [scored(r, *s) for r, s in zip(streams, [(0.0, 1.0), (0.5, 0.5), (1.0, 0.5)], strict=True)]
    result = compare(tmp_path, write(tmp_path / "a.jsonl", a), write(tmp_path / "b.jsonl", b))
    for line in result["rows"]:  # r_global, and the one source that there is
        # Means over streams: a (1 + .5 + .25) / 3, b (.5 + .5 + .75) / 3; differences .5, 0, -.5.
        assert line["a"] == pytest.approx(1.75 / 3)
        assert line["b"] == pytest.approx(1.75 / 3)
        assert line["difference"] == pytest.approx(0, abs=1e-12)
        assert (line["low"], line["high"]) == (-0.5, 0.5)  # thrice the same stream has chance 1/27, more than 2.5 %
        assert (line["streams"], line["wins"], line["ties"], line["losses"]) == (3, 1, 1, 1)
        assert (line["question_wins"], line["question_ties"], line["question_losses"]) == (1, 4, 1)
    assert [line["source"] for line in result["rows"]] == ["r_global", "builtin-fact"]
    with (tmp_path / "compared.csv").open(newline="") as file:
        assert [row["profile"] for row in csv.DictReader(file)] == ["corrected"] * 2


def test_one_agent_against_every_other_of_an_evaluation(evaluation, tmp_path, capsys):
    result = compare(tmp_path, evaluation / "records" / "hindsight.jsonl", evaluation)
    table = {row["agent"]: row for row in json.loads((evaluation / "table.json").read_text())["rows"]}
    whole = {line["agent_b"]: line for line in result["rows"] if line["source"] == "r_global"}
    assert set(whole) == {"nothing", "first"}
    for agent, line in whole.items():
        expected = table["hindsight"]["r_global"] - table[agent]["r_global"]
        assert line["difference"] == pytest.approx(expected)
        assert line["low"] <= line["difference"] <= line["high"]
    assert (whole["nothing"]["wins"], whole["nothing"]["low"] > 0) == (4, True)
    assert "A hindsight - B nothing; profile corrected" in capsys.readouterr().out


def test_agents_of_one_name_in_two_evaluations(evaluation, tmp_path, capsys):
    main(["evaluate", "--agents", "hindsight", "first", *SMALL, "--k", "1", "--out", str(tmp_path / "k1")])
    result = compare(tmp_path, evaluation, tmp_path / "k1")
    folder = evaluation.name
    assert [(p["agent_a"], p["agent_b"]) for p in result["pairs"]] == [
        (f"{folder}-first", "k1-first"), (f"{folder}-hindsight", "k1-hindsight"),
    ]  # fmt: skip
    assert result["pairs"][0]["differing_settings"]["k"] == {"a": ["5"], "b": ["1"]}
    assert "differs: k: 5 | 1" in capsys.readouterr().out


def test_episodes_of_a_stream_under_several_seeds_are_its_seeds(evaluation, tmp_path):
    streams = read(evaluation, "first")[:2]
    seeds = enumerate((0.0, 1.0))
    a = [scored(r, value, settings={**r.settings, "seed": seed}) for seed, value in seeds for r in streams]
    b = [scored(r, 0.25) for r in streams]
    result = compare(tmp_path, write(tmp_path / "a.jsonl", a), write(tmp_path / "b.jsonl", b))
    line = result["rows"][0]
    assert (line["a"], line["difference"], line["low"], line["high"]) == (0.5, 0.25, -0.25, 0.75)
    assert (line["streams"], line["wins"]) == (2, 2)
    assert result["pairs"][0]["seeds"] == [["0", "1"], ["0"]]


def test_one_stream_has_a_difference_and_no_interval(evaluation, tmp_path, capsys):
    record = read(evaluation, "first")[0]
    paths = [write(tmp_path / f"{name}.jsonl", [scored(record, value)]) for name, value in (("a", 1.0), ("b", 0.25))]
    line = compare(tmp_path, *paths)["rows"][0]
    assert (line["difference"], line["low"], line["high"]) == (0.75, None, None)
    assert "+0.750 │" in capsys.readouterr().out


def test_a_failed_episode_is_left_out_on_both_sides_and_counted(evaluation, tmp_path):
    streams = read(evaluation, "first")[:2]
    a = [scored(streams[0], 1.0, None, failure="gone"), scored(streams[1], 1.0, 0.0)]
    b = [scored(streams[0], 0.0, 0.0), scored(streams[1], 0.0, 0.0)]
    result = compare(tmp_path, write(tmp_path / "a.jsonl", a), write(tmp_path / "b.jsonl", b))
    line = result["rows"][0]
    assert (line["a"], line["b"], line["difference"]) == (0.5, 0.0, 0.5)
    assert (line["streams"], line["left_out"]) == (1, 1)
    assert (line["question_wins"], line["question_ties"]) == (1, 1)
    assert result["pairs"][0]["failed_episodes"] == [1, 0]


def test_streams_of_one_side_alone_are_counted(evaluation, tmp_path):
    records = read(evaluation, "first")
    result = compare(tmp_path, write(tmp_path / "a.jsonl", records[:3]), write(tmp_path / "b.jsonl", records[2:]))
    (pair,) = result["pairs"]
    assert pair["only_a"] == [record.stream_id for record in records[:2]]
    assert pair["only_b"] == [records[3].stream_id]
    assert (result["rows"][0]["streams"], result["rows"][0]["ties"]) == (1, 1)


def test_both_sides_are_scored_again_alike(evaluation, tmp_path, capsys):
    def answered(record, prediction, profile):
        question = replace(
            record.questions[0], source="lme_train", references=("no",), prediction=prediction, score=0.0
        )
        return replace(record, questions=(question,), settings={**record.settings, "profile": profile})

    record = read(evaluation, "first")[0]
    paths = [
        write(tmp_path / f"{name}.jsonl", [answered(record, prediction, profile)])
        for name, prediction, profile in (("a", "Norway", "corrected"), ("b", "Sweden", "memalpha-eval"))
    ]
    with pytest.raises(SystemExit, match="scored under corrected and memalpha-eval .*--profile"):
        compare(tmp_path, *paths)
    assert compare(tmp_path, *paths, "--profile", "memalpha-baseline")["rows"][0]["difference"] == 1.0
    # What a judge would have to say counts as nothing, not as 0.
    result = compare(tmp_path, *paths, "--profile", "longmemeval")
    assert result["pairs"][0]["unscored"] == [{"needs a judge": 1}] * 2
    assert "questions of B without a score: 1 needs a judge" in capsys.readouterr().out
    unjudged = result["rows"][0]
    assert (unjudged["difference"], unjudged["streams"], unjudged["left_out"]) == (None, 0, 1)
    with pytest.raises(SystemExit, match="unknown scoring profile 'mabb'.*Did you mean 'mab'"):
        compare(tmp_path, *paths, "--profile", "mabb")


def test_other_data_and_other_questions_are_refused(evaluation, tmp_path):
    records = read(evaluation, "first")[:1]
    a = write(tmp_path / "a.jsonl", records)

    def refused(told, **changes):
        b = write(tmp_path / "b.jsonl", [replace(records[0], **changes)])
        with pytest.raises(SystemExit, match=told):
            compare(tmp_path, a, b)

    dataset = records[0].settings["dataset"]
    refused(f"no stream in common.*{dataset}.*0000", settings={**records[0].settings, "dataset": "0000"})
    refused("no stream in common.*builtin-test-9", stream_id="builtin-test-9")
    refused("'builtin-test-0' is not the same in .*fingerprints", fingerprint="0000")
    refused("questions in .*same families", questions=records[0].questions[1:])
    changed = replace(records[0].questions[0], references=("other",))
    refused("question 1 of stream 'builtin-test-0' differs", questions=(changed, *records[0].questions[1:]))


def test_an_agent_is_not_compared_with_itself(evaluation, tmp_path):
    path = evaluation / "records" / "first.jsonl"
    with pytest.raises(SystemExit, match="nothing to compare: A has first; B has first"):
        compare(tmp_path, path, path)


def test_a_constant_difference_is_certain_however_much_the_streams_differ():
    b = np.random.default_rng(0).random(50)
    assert paired_bootstrap(b + 0.25, b) == pytest.approx((0.25, 0.25, 0.25))


def test_interval_of_a_fair_coin():
    # Differences -1 and 1 alike often: the standard error over 100 streams is .1.
    interval = paired_bootstrap(np.tile([0.0, 1.0], 50), np.tile([1.0, 0.0], 50))
    assert interval.mean == 0
    assert interval.low == pytest.approx(-0.196, abs=0.03)
    assert interval.high == pytest.approx(0.196, abs=0.03)


def test_seeds_of_a_side_are_drawn_too():
    # Two seeds of a that disagree on every stream: a resample holds one, the other or both; chances 1/4, 1/4, 1/2.
    assert paired_bootstrap([[0.0] * 9, [1.0] * 9], [0.5] * 9) == (0.0, -0.5, 0.5)


def test_a_stream_without_a_score_on_one_side_counts_on_neither():
    nan = float("nan")
    assert paired_bootstrap([nan, 0.5, 1.0], [0.0, 0.25, nan]) == (0.25, 0.25, 0.25)
    assert np.isnan(paired_bootstrap([nan], [1.0])).all()
    # A seed that failed leaves the stream to the other seed.
    assert paired_differences([[nan, 1.0], [0.5, 0.0]], [0.25, 0.25]).tolist() == [0.25, 0.25]


def test_sides_of_different_streams_are_no_pairs():
    with pytest.raises(ValueError, match="got 2 and 3"):
        paired_bootstrap([0.0, 1.0], [0.0, 1.0, 0.0])


def test_rounding_is_a_tie_and_nan_is_nothing():
    assert tally([0.1 + 0.2 - 0.3, -1.0, 1.0, 1.0, float("nan")]) == Tally(wins=2, ties=1, losses=1)
