"""The sampler slot's values by name.

Each is a class that is made with ``seed`` and ``pool`` (see `trainers.slots.sampling.Uniform`) and settings of its own.
"""

from __future__ import annotations

from collections.abc import Mapping

from trainers.slots.compensation import Compensation
from trainers.slots.difficulty import Dots
from trainers.slots.filters import Dynamic, NoPositiveResampling, ZeroVariance
from trainers.slots.sampling import Uniform

SAMPLERS: Mapping[str, type[Uniform]] = {
    "uniform": Uniform,
    "zero_variance": ZeroVariance,
    "dynamic": Dynamic,
    "npr": NoPositiveResampling,
    "dots": Dots,
    "many": Uniform,
    "compensation": Compensation,
}
"""The slot's values by name; all of them are `trainers.slots.sampling.Sampler`. BroRL's "many" (arXiv 2510.01180) draws as
"uniform" does: its group size is the run's own setting, and the learning rate that goes with it is in `trainers.scaling`."""
