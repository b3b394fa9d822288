"""Adapters for agents that work on arrays.

* `SentenceArrays` - Box features in, one choice per sentence out, with action masks.
* `hash_words` - signed feature hashing of a text.
* `make_flat` - the id ``FineMem-Memalpha-Flat-v0``.
"""

from memenvs.wrappers.arrays import SentenceArrays
from memenvs.wrappers.flat import make_flat
from memenvs.wrappers.hashing import hash_words

__all__ = ["SentenceArrays", "hash_words", "make_flat"]
