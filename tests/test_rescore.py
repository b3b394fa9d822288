"""``memenvs rescore``: saved predictions under other profiles."""

import csv
import json
from dataclasses import replace

import pytest

from memenvs.record import EpisodeRecord
from memenvs.version import __version__
from trainers.cli import main

SMALL = ["--streams", "3", "--T", "4", "--records"]


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation")
    main(["evaluate", "--agents", "keep_everything", "first", *SMALL, "--out", str(folder)])
    return folder


@pytest.fixture(scope="module")
def saved(evaluation):
    lines = (evaluation / "records" / "first.jsonl").read_text().splitlines()
    return [EpisodeRecord.from_json(line) for line in lines]


def published(records, *answers):
    """The first of the records with questions (source, prediction, references, score) in place of its own."""
    first = records[0].questions[0]
    questions = tuple(
        replace(first, source=source, prediction=prediction, references=references, score=score)
        for source, prediction, references, score in answers
    )
    return replace(records[0], questions=questions)


def write(path, *records):
    path.write_text("".join(record.to_json() + "\n" for record in records))
    return str(path)


def rescore(out, *arguments):
    main(["rescore", *arguments, "--out", str(out)])
    return json.loads((out / "rescored.json").read_text())


def line(result, source, profile, agent=None):
    (found,) = [
        row for row in result["rows"]
        if (row["source"], row["profile"]) == (source, profile) and agent in (None, row["agent"])
    ]  # fmt: skip
    return found


def test_the_profile_of_the_evaluation_gives_its_table_again(evaluation, tmp_path):
    result = rescore(tmp_path, str(evaluation), "--profile", "corrected")
    table = json.loads((evaluation / "table.json").read_text())
    for row in table["rows"]:
        for source in ("r_global", "builtin-fact", "builtin-label"):
            for profile in ("corrected", "recorded"):
                assert line(result, source, profile, row["agent"])["score"] == pytest.approx(row[source], abs=1e-12)
    assert line(result, "r_global", "corrected", "first")["dataset"] == table["dataset"]


def test_every_line_says_where_it_came_from(evaluation, tmp_path):
    result = rescore(tmp_path, str(evaluation / "records" / "first.jsonl"), "--profile", "mab", "locomo")
    assert result["profiles"] == ["mab", "locomo"]
    with (tmp_path / "rescored.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert {row["profile"] for row in lines} == {"recorded", "mab", "locomo"}
    dataset = json.loads((evaluation / "table.json").read_text())["dataset"]
    for row in lines:
        assert (row["dataset"], row["seed"], row["memenvs"]) == (dataset, "0", __version__)
        assert (row["agent"], row["recorded_profile"]) == ("first", "corrected")


def test_profiles_that_disagree_are_shown_with_their_scores(saved, tmp_path, capsys):
    # "Norway" holds the characters of "no": right for Mem-alpha, wrong where whole words count.
    record = published(saved, ("squad", "Norway", ("no",), 0.0), ("squad", "Oslo", ("Oslo",), 1.0))
    result = rescore(tmp_path, write(tmp_path / "a.jsonl", record))
    assert line(result, "squad", "corrected")["score"] == 0.5
    assert line(result, "squad", "memalpha-train")["score"] == 1.0
    (entry,) = result["disagreements"]
    assert (entry["predictions"], entry["differ"], entry["share"]) == (2, 1, 0.5)
    (example,) = entry["examples"]
    assert (example["prediction"], example["references"]) == ("Norway", ["no"])
    assert example["question"] == saved[0].questions[0].question
    assert example["scores"] == {
        "recorded": 0.0, "corrected": 0.0, "memalpha-train": 1.0, "memalpha-eval": 1.0, "memalpha-baseline": 1.0,
        "mab": "no rule", "longmemeval": "no rule", "locomo": "no rule",
    }  # fmt: skip
    shown = capsys.readouterr().out
    assert "profiles disagree on 1 of 2 predictions (50%)" in shown
    assert "predicted 'Norway'; right 'no'" in shown


def test_the_widest_disagreements_are_the_examples(saved, tmp_path):
    narrow = (
        "perltqa",
        "Basketball and chess",
        ("Basketball; chess",),
        1.0,
    )  # one capital keyword is lost: .5 for Mem-alpha
    wide = ("perltqa", "Basketball", ("Basketball; Basketball",), 1.0)
    path = write(tmp_path / "a.jsonl", published(saved, narrow, wide))
    result = rescore(tmp_path, path, "--profile", "memalpha-train", "--examples", "1")
    (entry,) = result["disagreements"]
    assert entry["differ"] == 2
    (example,) = entry["examples"]
    assert example["scores"] == {"recorded": 1.0, "memalpha-train": 0.0}


def test_a_source_for_a_judge_is_counted_and_has_no_score(saved, tmp_path, capsys):
    record = published(saved, ("longmemeval_s*", "Rome", ("Rome",), 1.0), ("ruler_qa1_197K", "Paris", ("Paris",), 1.0))
    result = rescore(tmp_path, write(tmp_path / "a.jsonl", record), "--profile", "mab")
    judged = line(result, "longmemeval_s*", "mab")
    assert (judged["score"], judged["questions"], judged["scored"], judged["needs_a_judge"]) == (None, 1, 0, 1)
    assert line(result, "ruler_qa1_197K", "mab")["score"] == 1.0
    # A stream counts in r_global only if all of its questions have a score.
    whole = line(result, "r_global", "mab")
    assert (whole["score"], whole["questions"], whole["scored"]) == (None, 2, 1)
    assert line(result, "r_global", "recorded")["score"] == 1.0
    assert "1 needs a judge" in capsys.readouterr().out


def test_a_failed_reading_stays_failed(saved, tmp_path):
    record = published(saved, ("squad", None, ("no",), None), ("squad", "no", ("no",), 1.0))
    result = rescore(tmp_path, write(tmp_path / "a.jsonl", replace(record, failure="the endpoint is gone")))
    for profile in ("recorded", "corrected", "memalpha-train"):
        found = line(result, "squad", profile)
        assert (found["score"], found["failed"], found["scored"]) == (1.0, 1, 1)
        assert line(result, "r_global", profile)["score"] is None
    assert result["disagreements"][0]["predictions"] == 1


def test_an_answer_on_which_the_published_code_crashes_is_refused_with_the_reason(saved, tmp_path, capsys):
    path = write(tmp_path / "a.jsonl", published(saved, ("ruler_niah_x", "Rome", ("Rome",), 1.0)))
    result = rescore(tmp_path, path, "--profile", "memalpha-eval")
    found = line(result, "ruler_niah_x", "memalpha-eval")
    assert (found["score"], found["refused"]) == (None, 1)
    assert list(result["refused"]) == ["memalpha-eval, ruler_niah_x"]
    assert result["refused"]["memalpha-eval, ruler_niah_x"] in capsys.readouterr().out.replace("\n", " ")


def test_agents_of_the_same_name_are_kept_apart(evaluation, saved, tmp_path):
    other = tmp_path / "other" / "records"
    other.mkdir(parents=True)
    write(other / "first.jsonl", *saved)
    result = rescore(tmp_path, str(evaluation), str(tmp_path / "other"), "--profile", "mab")
    names = {row["agent"] for row in result["rows"]}
    assert len(names) == 3
    assert "other-first" in names


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "is empty"),
        ('{"rows": []}\n', 'line 1: expected an episode record with "format": 1'),
        ("agent,score\n", "line 1: an episode record must be a JSON object"),
        ("\udcff", "cannot read records"),
    ],
)
def test_a_file_of_something_else_is_refused(content, told, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(SystemExit, match=told):
        rescore(tmp_path / "out", str(path))
    assert not (tmp_path / "out").exists()


def test_an_episode_counts_once(saved, tmp_path):
    with pytest.raises(SystemExit, match="line 2: the same record as line 1"):
        rescore(tmp_path, write(tmp_path / "a.jsonl", saved[0], saved[0]))


def test_a_folder_without_records_says_how_to_keep_them(tmp_path):
    with pytest.raises(SystemExit, match="Evaluate with --records"):
        rescore(tmp_path, str(tmp_path))
    with pytest.raises(SystemExit, match="no such file or folder"):
        rescore(tmp_path, str(tmp_path / "nowhere"))


def test_a_misspelt_profile_is_named_with_its_neighbour(evaluation, tmp_path):
    with pytest.raises(SystemExit, match="unknown scoring profile 'memalpha-evla'.*Did you mean 'memalpha-eval'"):
        rescore(tmp_path, str(evaluation), "--profile", "memalpha-evla")


@pytest.mark.parametrize("command", ["rescore", "compare"])
def test_help_teaches(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    examples = [x for x in capsys.readouterr().out.splitlines() if x.strip("│ ").startswith(f"memenvs {command}")]
    assert len(examples) >= 3
