import json
from dataclasses import replace

import pytest

from memenvs.errors import DataError
from trainers import demo


@pytest.mark.slow
def test_a_small_demo_runs_resumes_and_reports(tmp_path):
    settings = demo.DemoSettings(out=tmp_path, seeds=2, updates=2, T=4, streams=4, workers=2, arms="ablation")
    demo.main(settings)
    table = json.loads((tmp_path / "table.json").read_text())
    names = [row["agent"] for row in table["rows"]]
    assert names[: len(demo.ARMS)] == [arm.name for arm in demo.ARMS]
    assert {"nothing", "hindsight", "first (equal memory)", "keep everything"} <= set(names)
    for name in ("report.md", "table.csv", "curves.png", "final.png", "memory_timeline.png", "episode.json"):
        assert (tmp_path / name).stat().st_size > 0
    assert all(row["agent"] in (tmp_path / "report.md").read_text() for row in table["rows"])

    # A second call finds every run finished and gives the same table.
    stamps = {p: p.stat().st_mtime_ns for p in tmp_path.glob("runs/*/*/result.json")}
    demo.main(settings)
    assert stamps == {p: p.stat().st_mtime_ns for p in tmp_path.glob("runs/*/*/result.json")}
    assert json.loads((tmp_path / "table.json").read_text()) == table


def test_arms_differ_in_the_reward_alone():
    settings = demo.DemoSettings(arms="all")
    base = demo.run_settings(demo.ARMS[0], 3, settings)
    for arm in demo.arms(settings):
        other = demo.run_settings(arm, 3, settings)
        same_reward = replace(other, reward=base.reward, scale=base.scale)
        assert replace(same_reward, env=replace(other.env, relevance=1.0)) == base
        # What is told and asked in the end is the same too, whatever the chunk questions are about.
        for split in ("train", "test"):
            mine, theirs = other.env.open(split)[7], base.env.open(split)[7]
            assert [c.text for c in mine.chunks] == [c.text for c in theirs.chunks]
            assert mine.questions == theirs.questions


def test_every_run_has_its_own_folder():
    settings = demo.DemoSettings(arms="all")
    folders = [demo.run_folder(arm, seed, settings) for arm in demo.arms(settings) for seed in range(3)]
    assert len(set(folders)) == len(folders)


def test_a_result_of_other_settings_is_not_taken(tmp_path):
    settings = demo.DemoSettings(arms="all")
    run = demo.run_settings(demo.ARMS[0], 0, settings)
    assert not demo.finished(tmp_path, run)
    (tmp_path / "result.json").write_text(json.dumps({"settings": run.to_json()}))
    assert demo.finished(tmp_path, run)
    with pytest.raises(DataError, match="other settings"):
        demo.finished(tmp_path, replace(run, updates=7))
