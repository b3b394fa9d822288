import json

import pytest

from trainers import arms, demo, progress


def test_a_bar_counts_the_episodes_of_the_controls(monkeypatch):
    shown = progress.bars()
    monkeypatch.setattr(progress, "bars", lambda: shown)
    rows = demo.control_rows(arms.DemoSettings(seeds=3, T=4, streams=2), [30, 40])
    assert [row["agent"] for row in rows] == [
        "nothing", "random", "keep everything", "scripted", "hindsight", "first (equal memory)", "last (equal memory)",
        "random budget (equal memory)", "keep everything, no quota",
    ]  # fmt: skip
    assert [row["seeds"] for row in rows] == [1, 3, 1, 1, 1, 1, 1, 3, 1]
    (bar,) = shown.tasks
    assert (bar.completed, bar.total) == (26, 26)
    assert bar.description == "controls: keep everything, no quota"


@pytest.mark.slow
def test_a_small_demo_runs_resumes_and_reports(tmp_path):
    settings = arms.DemoSettings(out=tmp_path, seeds=2, updates=2, T=4, streams=4, workers=2, arms="ablation")
    demo.main(settings)
    table = json.loads((tmp_path / "table.json").read_text())
    names = [row["agent"] for row in table["rows"]]
    assert names[: len(arms.ARMS)] == [arm.name for arm in arms.ARMS]
    assert {"nothing", "hindsight", "first (equal memory)", "keep everything"} <= set(names)
    for name in ("report.md", "table.csv", "curves.png", "final.png", "memory_timeline.png", "episode.json"):
        assert (tmp_path / name).stat().st_size > 0
    assert all(row["agent"] in (tmp_path / "report.md").read_text() for row in table["rows"])

    # A second call finds every run finished and gives the same table.
    stamps = {p: p.stat().st_mtime_ns for p in tmp_path.glob("runs/*/*/result.json")}
    demo.main(settings)
    assert stamps == {p: p.stat().st_mtime_ns for p in tmp_path.glob("runs/*/*/result.json")}
    assert json.loads((tmp_path / "table.json").read_text()) == table
