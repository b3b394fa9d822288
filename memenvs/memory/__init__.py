"""Memory: items, operations, the transition, retrieval.

* `MemoryBank` - items with provenance, ``apply``, snapshot, restore, digest.
* `ThreePartMemory` - Mem-alpha's memory of three parts.
* `Operation`, `parse_operations` - what a message says.
* `BM25Index`, `BM25Retriever` - exact incremental retrieval.
* `Retriever` - what an episode asks of retrieval; `EverythingRetriever`, `EvidenceRetriever` - retrieval without ranking.
* `RetrievalProfile`, `RETRIEVAL_PROFILES` - retrieval as the published benchmarks do it.
* `count_tokens`, `token_counter` - the default token counter, and counters by name.
"""

from memenvs.memory.bank import BankSnapshot, Change, MemoryBank, MemoryItem, MemoryLimits, OperationOutcome, StepReport
from memenvs.memory.bm25 import BM25Index
from memenvs.memory.fixed_retrieval import EverythingRetriever, EvidenceRetriever
from memenvs.memory.operations import Malformed, Operation, ParseReport, parse_operations
from memenvs.memory.retrieval import BM25Retriever, Retrieved, Retriever
from memenvs.memory.retrieval_profiles import RETRIEVAL_PROFILES, RetrievalProfile, retrieval_profile
from memenvs.memory.three_part import ThreePartMemory
from memenvs.memory.token_counters import token_counter
from memenvs.memory.tokens import count_tokens

__all__ = [
    "RETRIEVAL_PROFILES",
    "BM25Index",
    "BM25Retriever",
    "BankSnapshot",
    "Change",
    "EverythingRetriever",
    "EvidenceRetriever",
    "Malformed",
    "MemoryBank",
    "MemoryItem",
    "MemoryLimits",
    "Operation",
    "OperationOutcome",
    "ParseReport",
    "RetrievalProfile",
    "Retrieved",
    "Retriever",
    "StepReport",
    "ThreePartMemory",
    "count_tokens",
    "parse_operations",
    "retrieval_profile",
    "token_counter",
]
