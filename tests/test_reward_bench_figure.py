"""Figures of the measurement: what a reader is told about their points."""

from matplotlib.colors import same_color

from trainers.reward_bench.figure import COLOURS, cost_figure, study_figure
from trainers.reward_bench.prediction import Prediction


def row(method, kind, unserved=0):
    return {
        "method": method, "kind": kind, "scope": "builtin", "calls": 3.0, "unserved": unserved,
        "spearman": 0.5, "spearman_low": 0.4, "spearman_high": 0.6,
    }  # fmt: skip


def legend(figure):
    """Label -> colours of edge and face."""
    handles = figure.axes[0].get_legend().legend_handles
    return {h.get_label(): (h.get_color(), h.get_markerfacecolor()) for h in handles}


def test_the_legend_names_the_kinds_that_there_are(tmp_path):
    found = legend(cost_figure([row("prefix", "estimator"), row("random", "control")], None, tmp_path / "a.png"))
    assert set(found) == {"estimator", "control"}
    assert all(same_color(found[name][0], COLOURS[name]) for name in found)
    found = legend(cost_figure([row("prefix", "estimator", unserved=2)], None, tmp_path / "b.png"))
    assert set(found) == {"estimator", "not all episodes served"}
    assert same_color(found["not all episodes served"][1], "white")


def test_points_of_the_study_have_the_colours_of_its_legend(tmp_path):
    values, kinds = {"prefix": 0.7, "wrapper finemem": 0.4}, {"prefix": "estimator", "wrapper finemem": "wrapper"}
    figure = study_figure(
        {"spearman": values}, {"prefix": 0.75, "wrapper finemem": 0.76}, kinds,
        {"spearman": Prediction(-1.0, -1.0, 1.0, 1.0)}, tmp_path / "study.png",
    )  # fmt: skip
    assert set(legend(figure)) == {"estimator", "wrapper"}
    points = figure.axes[0].collections[0].get_facecolors()
    assert [same_color(p, COLOURS[kind]) for p, kind in zip(points, kinds.values(), strict=True)] == [True, True]
