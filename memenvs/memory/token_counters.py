"""Token counters by name, without network access: nothing is downloaded, and no counter stands in for another.

* `words` - `count_tokens`, the default; needs nothing.
* `o200k`, `cl100k` - byte-pair encodings that OpenAI published with tiktoken (gpt-4o-mini and gpt-3.5-turbo). Mem-alpha counts
  rewards, memory limits and compression in o200k; MemoryAgentBench its chunks.
* `qwen` - the first Qwen vocabulary, a stand-in for Qwen3's, in whose tokens Mem-alpha's data sets are cut; the two have not been
  compared. Texts are composed (NFC) first, and ``<|endoftext|>``, ``<|im_start|>`` and ``<|im_end|>`` are one token each.
* `memalpha-o200k` - as `o200k`, but a text that holds ``<|endoftext|>`` or ``<|endofprompt|>`` counts 0: a mistake of the
  published code, which catches tiktoken's refusal (wangyu-ustc/Mem-alpha@9c0e1f6, memalpha/utils.py).

Everywhere else special tokens in a text count as the text that they are.

The encodings need ``pip install "memenvs[tokens]"`` (tiktoken) and a vocabulary file, which is looked for in the folder of the
environment variable ``MEMENVS_VOCABULARIES``, in tiktoken's cache and in installed packages that carry it (litellm for
o200k and cl100k, qwen-agent for qwen). A file counts only if its SHA-256 is the published one.

Source of patterns, special tokens and hashes: openai/tiktoken (tiktoken_ext/openai_public.py) and QwenLM/Qwen-Agent
(qwen_agent/utils/tokenization_qwen.py).
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import os
import tempfile
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from memenvs.errors import DataError, SettingsError, did_you_mean
from memenvs.memory.tokens import TokenCounter, count_tokens

FOLDER_VARIABLE = "MEMENVS_VOCABULARIES"
"""Environment variable that names a folder of vocabulary files."""


@dataclass(frozen=True, slots=True)
class _Vocabulary:
    file: str
    """Its published file name."""
    sha256: str
    """Of the file."""
    cached: str
    """Its name in tiktoken's cache and in litellm: SHA-1 of the address that it is published at; empty for none."""
    package: str
    """Installable package that carries it."""
    folder: str
    """Where in the package."""
    pattern: str
    """Regular expression of the pieces that are encoded one by one."""
    special: dict[str, int]
    """Special tokens and their ranks."""


# The published patterns with plain quantifiers; the possessive ones of later releases only save time.
_CL100K = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_WORD, _ENDING = r"[^\r\n\p{L}\p{N}]?", r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_O200K = (
    f"{_WORD}{_UPPER}*{_LOWER}+{_ENDING}|{_WORD}{_UPPER}+{_LOWER}*{_ENDING}"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_VOCABULARIES = {
    "o200k": _Vocabulary(
        "o200k_base.tiktoken",
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
        "fb374d419588a4632f3f557e76b4b70aebbca790",
        "litellm",
        "litellm_core_utils/tokenizers",
        _O200K,
        {"<|endoftext|>": 199999, "<|endofprompt|>": 200018},
    ),
    "cl100k": _Vocabulary(
        "cl100k_base.tiktoken",
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
        "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
        "litellm",
        "litellm_core_utils/tokenizers",
        _CL100K,
        {},
    ),
    "qwen": _Vocabulary(
        "qwen.tiktoken",
        "b2b1b8dfb5cc5f024bafc373121c6aba3f66f9a5a0269e243470a1de16a33186",
        "",
        "qwen-agent",
        "utils",
        _CL100K.replace(r"\p{N}{1,3}", r"\p{N}"),
        {"<|endoftext|>": 151643, "<|im_start|>": 151644, "<|im_end|>": 151645},
    ),
}
TOKEN_COUNTERS = ("words", *_VOCABULARIES, "memalpha-o200k")
"""Names of counters."""


@lru_cache
def token_counter(name: str) -> TokenCounter:
    """The counter of this name.

    Raises:
        SettingsError: there is none.
        DataError: tiktoken or the vocabulary is not on this machine; the message says how to get it.
    """
    if name == "words":
        return count_tokens
    if name not in TOKEN_COUNTERS:
        known = ", ".join(TOKEN_COUNTERS)
        raise SettingsError(f"tokens must be one of {known}, got {name!r}.{did_you_mean(str(name), TOKEN_COUNTERS)}")
    encoding = _encoding("o200k" if name == "memalpha-o200k" else name)
    if name == "qwen":
        # As Qwen's tokenizers do by default: the marks of a chat are one token each, wherever they stand.
        return lru_cache(maxsize=16384)(
            lambda text: len(
                encoding.encode(unicodedata.normalize("NFC", text), allowed_special="all", disallowed_special=())
            )
        )
    special = tuple(encoding.special_tokens_set) if name == "memalpha-o200k" else ()

    @lru_cache(maxsize=16384)
    def count(text: str) -> int:
        if any(token in text for token in special):
            return 0
        return len(encoding.encode_ordinary(text))

    return count


@lru_cache
def _encoding(name: str) -> Any:
    try:
        import tiktoken
    except ImportError as error:
        raise DataError(f'the token counter {name!r} needs tiktoken: pip install "memenvs[tokens]"') from error
    vocabulary = _VOCABULARIES[name]
    lines = _content(name, vocabulary).splitlines()
    ranks = {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in lines if line)}
    return tiktoken.Encoding(name, pat_str=vocabulary.pattern, mergeable_ranks=ranks, special_tokens=vocabulary.special)


def _content(name: str, vocabulary: _Vocabulary) -> bytes:
    """The vocabulary file's bytes, from the first place that has it."""
    wrong = []
    for path in _places(vocabulary):
        if path.is_file():
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() == vocabulary.sha256:
                return content
            wrong.append(str(path))
    raise DataError(
        f"the token counter {name!r} needs the vocabulary {vocabulary.file} (SHA-256 {vocabulary.sha256}), which is not on this "
        f"machine: pip install --no-deps {vocabulary.package}, whose wheel carries it, or put the file into a folder and "
        f"name that in {FOLDER_VARIABLE}"
        + (f"; another content than the published one is at {', '.join(wrong)}" if wrong else "")
    )


def _places(vocabulary: _Vocabulary) -> Iterator[Path]:
    """Where the file may lie, likeliest first."""
    names = [name for name in (vocabulary.file, vocabulary.cached) if name]
    if own := os.environ.get(FOLDER_VARIABLE):
        yield from (Path(own) / name for name in names)
    if vocabulary.cached:
        cache = os.environ.get("TIKTOKEN_CACHE_DIR") or os.environ.get("DATA_GYM_CACHE_DIR")
        yield Path(cache or Path(tempfile.gettempdir()) / "data-gym-cache") / vocabulary.cached
    # Looked up, not imported: these packages are large, and only their file is wanted.
    found = importlib.util.find_spec(vocabulary.package.replace("-", "_"))
    for folder in (found.submodule_search_locations if found else None) or ():
        yield from (Path(folder) / vocabulary.folder / name for name in names)
