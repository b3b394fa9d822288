"""How MemoryAgentBench's contexts become chunks.

* `ChunkSettings` - sizes, counters, sentences, templates.
* `nltk_sentences` - sentences as the published code finds them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from memenvs.errors import DataError, SettingsError, did_you_mean, whole
from memenvs.memory.token_counters import token_counter
from memenvs.streams.chunking import Splitter, split_sentences
from memenvs.streams.mab_templates import memorized

SENTENCES = ("marks", "nltk")
LONGMEMEVAL_CHUNKS = ("sentences", "sessions")


@dataclass(frozen=True, slots=True)
class ChunkSettings:
    """How contexts become chunks.

    Raises:
        SettingsError: a value cannot work.
        DataError: the vocabulary of ``tokens`` is not on this machine.
    """

    chunk_size: int = 4096
    """Tokens per chunk; the published configurations have 4096 and 512."""
    tokens: str = "words"
    """Token counter; the published code counts in "o200k", which needs a vocabulary file."""
    published_chunks: bool = False
    """Keep the published cutter's slips, such as an empty first chunk before a long first sentence."""
    sentences: str = "marks"
    """What a sentence is: "marks" ends it after ., ! or ? and white space; "nltk" asks nltk's punkt model, as the published code
    does, which knows abbreviations and must be on this machine."""
    longmemeval_chunks: str = "sentences"
    """"sentences" cuts the printed Python list of longmemeval_s* like any text, as the published code does; "sessions" reads it (as
    a literal, nothing is evaluated) and makes one chunk per session."""
    entities: str | Path | None = None
    """The set's ``entity2id.json``, to give the golds of recsys as titles; None leaves the published numbers."""

    templates: str | None = None
    """"rag", "long_context" or "agentic": chunks stand in the message with which MemoryAgentBench tells them to agents of this type
    (`memenvs.streams.mab_templates`). Questions stay bare: a reader puts them into their template, and retrieval and scoring
    take them without. None: chunks stay bare too."""
    fact_evidence: bool = False
    """Name the evidence of FactConsolidation's single-hop questions, as `memenvs.streams.fact_evidence` finds it."""

    def __post_init__(self) -> None:
        if self.templates is not None:
            memorized("ruler_qa1_197K", self.templates, "", 0)
        whole("chunk_size", self.chunk_size, 1)
        token_counter(self.tokens)
        if self.sentences not in SENTENCES:
            hint = did_you_mean(str(self.sentences), SENTENCES)
            raise SettingsError(f"sentences must be one of {', '.join(SENTENCES)}, got {self.sentences!r}.{hint}")
        self.splitter("")
        if self.longmemeval_chunks not in LONGMEMEVAL_CHUNKS:
            known = ", ".join(LONGMEMEVAL_CHUNKS)
            raise SettingsError(f"longmemeval_chunks must be one of {known}, got {self.longmemeval_chunks!r}")

    def by_sessions(self, source: str) -> bool:
        """Whether a context of this source is read as a list of sessions."""
        return self.longmemeval_chunks == "sessions" and source.startswith("longmemeval")

    @property
    def splitter(self) -> Splitter:
        """Text in, its sentences out."""
        return split_sentences if self.sentences == "marks" else nltk_sentences

    def deciding(self) -> dict[str, Any]:
        """What streams depend on, as plain data."""
        # What came later is left out where it is not asked for, so that fingerprints stay what they were.
        known = asdict(self)
        for name in ("templates", "sentences", "fact_evidence"):
            if known[name] == type(self).__dataclass_fields__[name].default:
                del known[name]
        return known


def nltk_sentences(text: str) -> Sequence[str]:
    """The sentences of a text as nltk's punkt model for English finds them.

    Raises:
        DataError: nltk or its model is not on this machine; says how to get it.
    """
    try:
        import nltk

        found: list[str] = nltk.sent_tokenize(text)
    except ImportError as error:
        raise DataError("sentences='nltk' needs nltk: pip install -e '.[bench]'") from error
    except LookupError as error:
        raise DataError(
            "sentences='nltk' needs nltk's punkt model, which is not on this machine: python -m nltk.downloader punkt_tab, or "
            "name the folder that has it in NLTK_DATA"
        ) from error
    return found
