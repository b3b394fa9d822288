"""Streams: the material of episodes.

* `Stream`, `Chunk`, `Question`, `Evidence` - plain data.
* `load` - open a source by name, hub id or path.
"""

from memenvs.streams.sources import load
from memenvs.streams.types import Chunk, Evidence, Question, Stream, StreamDataset

__all__ = ["Chunk", "Evidence", "Question", "Stream", "StreamDataset", "load"]
