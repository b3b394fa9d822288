"""How single methods are measured."""

import pytest

from rewards import terms
from trainers.reward_bench.cells import MIXED_ENV, Cell
from trainers.reward_bench.episodes import play_cell
from trainers.reward_bench.methods import Method, measure
from trainers.reward_bench.settings import BenchSettings

SETTINGS = BenchSettings(T=4)


def test_presets_are_measured_at_the_scale_they_are_trained_with():
    played = play_cell(SETTINGS, Cell("attribution", "builtin", MIXED_ENV, "mixed", "mixed", 5, 0))
    record = played.record
    assert record.r_global > 0
    credit = measure(Method("wrapper outcome", "wrapper"), played, None, (0,)).credit
    # r_global at every step, not r_global / T, beside format and .05 compression.
    compression = terms.compression(record)[0]
    assert credit == pytest.approx([record.r_global + fmt + 0.05 * compression for fmt in terms.fmt(record)])
