import json

import numpy as np
from matplotlib.image import imread

from agents.base import make_agent
from trainers.evaluation import play
from trainers.figures import final_bars, learning_curves, memory_timeline
from trainers.settings import EnvSettings


def ink(path):
    """Share of pixels that are not white."""
    return float((imread(path)[..., :3] < 0.99).any(axis=-1).mean())


def near(path, *colour):
    """Number of pixels of about this colour."""
    return int((np.abs(imread(path)[..., :3] - np.array(colour) / 255).max(axis=-1) < 0.02).sum())


def test_curves_show_every_arm(tmp_path):
    one = {"a": [[(8, 0.1), (16, 0.5)], [(8, 0.2), (16, 0.4)]]}
    learning_curves(one, {}, tmp_path / "one.png")
    learning_curves(one | {"b": [[(8, 0.3), (16, 0.9)]]}, {"hindsight": 0.8}, tmp_path / "two.png")
    # The second arm has the second colour of the palette, which the first figure lacks.
    orange = [near(tmp_path / name, 0xFF, 0x7F, 0x0E) for name in ("one.png", "two.png")]
    assert orange[0] == 0
    assert orange[1] > 100


def test_bars_show_every_row(tmp_path):
    rows = [
        {"agent": f"agent {i}", "r_global": i / 10, "low": i / 20, "high": i / 8, "memory_share": 0.5, "kind": kind}
        for i, kind in enumerate(["learned", "control", "control"])
    ]
    final_bars(rows, tmp_path / "bars.png", "title")
    assert ink(tmp_path / "bars.png") > 0.02


def test_the_timeline_shows_lives_of_items(tmp_path):
    env = EnvSettings(T=6).make("test", evaluation=True)

    class Editor:
        name = "editor"
        script = iter(
            [
                [{"op": "INSERT", "content": "kept"}, {"op": "INSERT", "content": "dropped"}],
                [{"op": "UPDATE", "id": "0.0", "content": "changed"}],
                [{"op": "DELETE", "id": "0.1"}, {"op": "DELETE", "id": "9.9"}],
                *[[{"op": "SKIP"}]] * 3,
            ]
        )

        def reset(self, seed, stream=None):
            pass

        def act(self, observation, info):
            return json.dumps(next(self.script))

    memory_timeline(play(env, Editor(), 0), tmp_path / "edited.png")
    memory_timeline(play(env, make_agent("keep_everything", max_operations=3), 0), tmp_path / "kept.png")
    edited, kept = imread(tmp_path / "edited.png"), imread(tmp_path / "kept.png")
    assert kept.shape[0] > edited.shape[0]  # a row per item
    assert near(tmp_path / "kept.png", 0x1B, 0x78, 0x37) > 100  # some item was evidence of a right answer
