"""What an episode does with its stream: retrieval width, limits, dialect, profiles."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from memenvs.errors import whole
from memenvs.memory.architectures import FLAT, check_memory
from memenvs.memory.bank import MemoryLimits
from memenvs.memory.operations import parse_operations
from memenvs.memory.retrieval_profiles import check_retrieval
from memenvs.memory.token_counters import token_counter
from memenvs.scoring.profiles import metric_for


@dataclass(frozen=True, slots=True)
class EpisodeSettings:
    """What an episode does with its stream."""

    k: int = 5
    """Items retrieved per question; of each part in a memory of parts."""
    chunk_questions: int = 5
    """Chunk questions read per step (the first ones of the chunk); 0 reads none."""
    limits: MemoryLimits = field(default_factory=MemoryLimits)
    """What the memory accepts."""
    dialect: str = "json"
    """How messages are parsed."""
    profile: str = "corrected"
    """Scoring profile."""
    retrieval: str = "default"
    """Retrieval profile, see `memenvs.memory.retrieval_profiles`; ``k`` stays what it is here. Or retrieval without ranking, see
    `memenvs.memory.fixed_retrieval`, which looks at no ``k``."""
    tokens: str = "words"
    """Token counter, see `memenvs.memory.token_counters`."""
    memory: str = FLAT
    """Architecture of the memory, see `memenvs.memory.architectures`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "k", whole("k", self.k, 1))
        object.__setattr__(self, "chunk_questions", whole("chunk_questions", self.chunk_questions, 0))
        parse_operations("[]", self.dialect)
        metric_for("builtin-fact", self.profile)
        check_retrieval(self.retrieval)
        token_counter(self.tokens)
        check_memory(self.memory, self.dialect)

    def facts(self) -> dict[str, Any]:
        """The settings as plain data. The flat memory is not named: records and digests are those of before there were others."""
        kept = asdict(self)
        if self.memory == FLAT:
            del kept["memory"]
        return kept
