"""Memory architectures by name: the memory that an episode has and how it is searched.

* `make_memory`, `make_retriever` - what a name stands for.
"""

from __future__ import annotations

from memenvs.errors import SettingsError, did_you_mean
from memenvs.memory.bank import MemoryBank, MemoryLimits
from memenvs.memory.fixed_retrieval import EverythingRetriever
from memenvs.memory.operations import MEMALPHA
from memenvs.memory.retrieval import BM25Retriever, Retriever
from memenvs.memory.retrieval_profiles import EVERYTHING, EVIDENCE
from memenvs.memory.three_part import ThreePartMemory
from memenvs.memory.three_part_retrieval import ThreePartRetriever
from memenvs.memory.tokens import TokenCounter

FLAT = "flat"
"""One list of items."""
_RULES = {"memalpha": "published", "memalpha-strict": "strict"}
MEMORIES = (FLAT, *_RULES)
"""``"flat"``; ``"memalpha"``: Mem-alpha's three parts and its published rule of what is valid; ``"memalpha-strict"``: the same
parts, the flat memory's rule. See `ThreePartMemory`."""


def check_memory(name: str, dialect: str) -> None:
    """Refuse an unknown architecture, or a dialect that cannot write it, with SettingsError."""
    if name not in MEMORIES:
        raise SettingsError(
            f"memory must be one of {', '.join(MEMORIES)}, got {name!r}.{did_you_mean(str(name), MEMORIES)}"
        )
    if dialect == MEMALPHA and name == FLAT:
        raise SettingsError(f'the dialect {MEMALPHA!r} writes memories of three parts; set memory="memalpha" too')


def make_memory(name: str, limits: MemoryLimits, count: TokenCounter) -> MemoryBank:
    """An empty memory of this architecture."""
    return MemoryBank(limits, count) if name == FLAT else ThreePartMemory(limits, count, _RULES[name])


def make_retriever(name: str, idf: str | None = None, profile: str = "default") -> Retriever:
    """A retriever for this architecture; ``idf`` and ``profile`` as for `BM25Retriever`, or retrieval without ranking.

    Raises:
        SettingsError: unknown profile or idf, or ``"evidence"``, which needs more than a name.
    """
    if profile == EVERYTHING:
        return EverythingRetriever()
    if profile == EVIDENCE:
        raise SettingsError(
            'retrieval="evidence" needs the evidence: Episode(..., retriever=memenvs.memory.EvidenceRetriever({question: places}))'
        )
    return (BM25Retriever if name == FLAT else ThreePartRetriever)(idf=idf, profile=profile)
