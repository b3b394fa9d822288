"""What can be set about builtin streams."""

from __future__ import annotations

from dataclasses import dataclass

from memenvs.errors import SettingsError, did_you_mean
from memenvs.streams.generated import check_range

FAMILIES = ("accurate-retrieval", "test-time-learning", "long-range-understanding", "conflict-resolution")
"""The question families of MemoryAgentBench (arXiv 2507.05257), which builtin streams imitate."""


@dataclass(frozen=True, slots=True)
class ProceduralSettings:
    """Settings of `ProceduralStreams`.

    Raises:
        SettingsError: a value is out of its range; the message names the range.
    """

    T: int = 20
    """Chunks per stream, 4 to 400."""
    sentences: int = 6
    """Sentences per chunk, 3 to 40."""
    questions: int = 18
    """Global questions, 1 to 100: at most this many, fewer where a short stream has not enough to ask about."""
    families: tuple[str, ...] = FAMILIES
    """Which of `FAMILIES` the questions come from. By default 18 questions are 8 facts, 4 updated facts, 4 labels and 2
    summaries or counts; a subset keeps these proportions."""
    distractors: float = 0.57
    """Share of sentences that no global question can be about, 0 to 0.9: other facts, small talk and repeats."""
    chunk_questions: int = 5
    """Questions per chunk for the step reward (K), 0 to 10: at most this many, none where nothing fits."""
    relevance: float = 1.0
    """Chance (rho), 0 to 1, that a chunk question asks about a kind of thing that global questions ask about. Below 1
    the step reward also pays for storing what nobody will ask."""
    timestamps: bool = True
    """Whether chunks carry a timestamp."""

    def __post_init__(self) -> None:
        if not isinstance(self.families, (tuple, list)) or not all(isinstance(name, str) for name in self.families):
            raise SettingsError(f"families must be a tuple of names, got {self.families!r}")
        for name in self.families:
            if name not in FAMILIES:
                raise SettingsError(
                    f"unknown family {name!r}; known: {', '.join(FAMILIES)}.{did_you_mean(name, FAMILIES)}"
                )
        if not self.families:
            raise SettingsError(f"families must name at least one of {', '.join(FAMILIES)}")
        # One canonical order: the order in which a caller names the families must not change the streams.
        object.__setattr__(self, "families", tuple(name for name in FAMILIES if name in self.families))
        check_range("T", self.T, 4, 400)
        check_range("sentences", self.sentences, 3, 40)
        check_range("questions", self.questions, 1, 100)
        check_range("chunk_questions", self.chunk_questions, 0, 10)
        check_range("distractors", self.distractors, 0.0, 0.9)
        check_range("relevance", self.relevance, 0.0, 1.0)
        object.__setattr__(self, "distractors", float(self.distractors))
        object.__setattr__(self, "relevance", float(self.relevance))
        if not isinstance(self.timestamps, bool):
            raise SettingsError(f"timestamps must be True or False, got {self.timestamps!r}")
