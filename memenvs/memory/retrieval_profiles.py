"""Named ways of retrieval: what the published benchmarks do between a question and the texts that its reader sees.

`default` is ours. The others follow published code to the number, mistakes included:

* `memalpha-server`: the server that answers in Mem-alpha's training and evaluation. It ranks each type of memory on its own; one
  flat memory is one type.
* `memalpha-memory`: the search tool of its agents. It drops scores below 0, so a small memory, whose words all have a
  negative idf, gives nothing.
* `memalpha-longctx`: its BM25 baseline over chunks.
* `mab`: the BM25 agent of MemoryAgentBench, where case and punctuation count.

Sources: wangyu-ustc/Mem-alpha@9c0e1f6 (memory_server.py, memory.py, long_context_eval.py); HUST-AI-HYZ/MemoryAgentBench@455306d
(agent.py, through langchain_community's BM25Retriever); all of them score with rank_bm25 0.2.2.

One crash is not followed: where no text of a memory holds a word, rank_bm25 divides by zero; here every score is 0 then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from memenvs.errors import SettingsError, did_you_mean


@dataclass(frozen=True, slots=True)
class RetrievalProfile:
    """One way of retrieval."""

    name: str
    """Its name in settings, records and results."""
    k: int
    """Texts retrieved per question, unless the settings say another number."""
    idf: str = "okapi"
    """Kind of idf, see `BM25Index`."""
    tokens: str = "words"
    """How texts and questions are split, see `BM25Index`."""
    ties: str = "stable"
    """Order of equal scores, see `BM25Index`."""
    min_score: float | None = None
    """Least score of a retrieved text; None for no threshold."""
    finds_without_words: bool = True
    """Whether a question without words retrieves the first ``k`` of all equal texts, or nothing."""


_PROFILES = (
    RetrievalProfile("default", k=5, idf="lucene", ties="rounded"),
    RetrievalProfile("memalpha-server", k=20, finds_without_words=False),
    RetrievalProfile("memalpha-memory", k=20, min_score=0.0, finds_without_words=False),
    RetrievalProfile("memalpha-longctx", k=2),
    RetrievalProfile("mab", k=10, tokens="split", ties="reversed"),
)
RETRIEVAL_PROFILES: Mapping[str, RetrievalProfile] = MappingProxyType({profile.name: profile for profile in _PROFILES})
"""Profiles by name."""
EVERYTHING, EVIDENCE = "everything", "evidence"
"""Retrieval without ranking, see `memenvs.memory.fixed_retrieval`."""
WITHOUT_RANKING = (EVERYTHING, EVIDENCE)


def check_retrieval(name: str) -> None:
    """Refuse what is neither a profile nor one of `WITHOUT_RANKING`, with SettingsError."""
    known = (*RETRIEVAL_PROFILES, *WITHOUT_RANKING)
    if name not in known:
        raise SettingsError(
            f"retrieval must be one of {', '.join(known)}, got {name!r}.{did_you_mean(str(name), known)}"
        )


def retrieval_profile(name: str) -> RetrievalProfile:
    """The profile of this name.

    Raises:
        SettingsError: there is none.
    """
    try:
        return RETRIEVAL_PROFILES[name]
    except (KeyError, TypeError):
        known = ", ".join(RETRIEVAL_PROFILES)
        raise SettingsError(
            f"retrieval must be one of {known}, got {name!r}.{did_you_mean(str(name), RETRIEVAL_PROFILES)}"
        ) from None
