"""Memory: items, operations, the transition, retrieval.

* `MemoryBank` - items with provenance, ``apply``, snapshot, restore, digest.
* `Operation`, `parse_operations` - what a message says.
* `BM25Index`, `BM25Retriever` - exact incremental retrieval.
* `count_tokens` - the default token counter.
"""

from memenvs.memory.bank import BankSnapshot, Change, MemoryBank, MemoryItem, MemoryLimits, OperationOutcome, StepReport
from memenvs.memory.bm25 import BM25Index
from memenvs.memory.operations import Malformed, Operation, ParseReport, parse_operations
from memenvs.memory.retrieval import BM25Retriever, Retrieved
from memenvs.memory.tokens import count_tokens

__all__ = [
    "BM25Index",
    "BM25Retriever",
    "BankSnapshot",
    "Change",
    "Malformed",
    "MemoryBank",
    "MemoryItem",
    "MemoryLimits",
    "Operation",
    "OperationOutcome",
    "ParseReport",
    "Retrieved",
    "StepReport",
    "count_tokens",
    "parse_operations",
]
