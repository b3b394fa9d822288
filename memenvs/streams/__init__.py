"""Streams: the material of episodes.

* `Stream`, `Chunk`, `Question`, `Evidence` - plain data.
* `StreamList` - given streams as a data set.
* `load` - open a source by name, hub id or path.
"""

from memenvs.streams.sources import load
from memenvs.streams.stream_list import StreamList
from memenvs.streams.types import Chunk, Evidence, Question, Stream, StreamDataset

__all__ = ["Chunk", "Evidence", "Question", "Stream", "StreamDataset", "StreamList", "load"]
