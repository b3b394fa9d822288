"""What Mem-alpha's conversion of MemoryAgentBench keeps of a context of labelled examples.

The conversion cuts the context into chunks first and takes the examples out of each chunk then, so that an example that a border
cuts in two is lost: of 400 in one vector 396 are left. `memenvs.streams.memory_agent_bench` reads contexts with all their examples.
"""

from __future__ import annotations

from memenvs.memory.tokens import TokenCounter
from memenvs.streams.chunking import pack_sentences

CHUNK_TOKENS = 1024
"""Longest chunk in Qwen's tokens; one sentence may be longer."""


def reread_examples(context: str, count: TokenCounter, most: int = CHUNK_TOKENS) -> list[list[tuple[str, str]]]:
    """The examples (sentence, label) that are left, chunk by chunk.

    Args:
        context: blocks "sentence, line break, label: number" with empty lines between them.
        count: token counter; the published one is "qwen".
        most: longest chunk in tokens.

    Source: wangyu-ustc/Mem-alpha@9c0e1f6: process_data.py (process_memory_agent_bench, Test_Time_Learning).
    """
    return [_examples(chunk) for chunk in pack_sentences(context, count, most)]


def _examples(chunk: str) -> list[tuple[str, str]]:
    parts = (block.split("label:") for block in chunk.split("\n\n"))
    return [(pair[0].strip(), pair[1].strip()) for pair in parts if len(pair) == 2 and pair[0].strip()]
