"""Builtin streams: readable text made up from a seed, with exact answers and evidence.

* `ProceduralStreams` - the dataset.
* `ProceduralSettings` - what can be set.
* `FAMILIES` - the question families.
"""

from __future__ import annotations

from memenvs.streams.procedural.dataset import GENERATOR_VERSION, ProceduralStreams
from memenvs.streams.procedural.settings import FAMILIES, ProceduralSettings

__all__ = ["FAMILIES", "GENERATOR_VERSION", "ProceduralSettings", "ProceduralStreams"]
