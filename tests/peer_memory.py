"""Published memory, its calls, retrieval and tokens, and our calls for them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from peer_scoring import not_copied
from peer_vectors import NotComparedError, Row, Vector

from memenvs.errors import DataError
from memenvs.memory import BM25Retriever, MemoryItem, ThreePartMemory, parse_operations, token_counter
from memenvs.memory.memalpha_calls import MemoryCall, tool_schemas
from memenvs.memory.memalpha_text import manager_message, marked_calls, text_before_calls
from memenvs.memory.operations import Operation
from memenvs.memory.three_part_retrieval import fitting_k
from memenvs.memory.three_part_view import manager_view
from memenvs.memory.tokens import search_tokens


@cache
def corpora(folder: Path) -> list[list[str]]:
    """The texts that retrieval vectors number; they lie beside the vectors."""
    return [corpus["docs"] for corpus in json.loads((folder / "retrieval_corpora.json").read_text(encoding="utf-8"))]


def docs_of(vector: Vector) -> list[str]:
    return corpora(vector.file.parent)[vector.inputs["corpus"]]


def found(docs: list[str], profile: str, query: str, k: int | None) -> list[tuple[int, float]]:
    """Places and scores of the retrieved texts."""
    retriever = BM25Retriever(profile=profile)
    retriever.restore([MemoryItem(str(n), text, 0, 0, 1) for n, text in enumerate(docs)])
    return [(int(one.id), one.score) for one, _ in retriever.top_k(query, len(docs) if k is None else k)]


def server(vector: Vector) -> dict[str, Any]:
    if "raises" in vector.record:
        raise NotComparedError("texts without any word: the server divides by zero, here they score 0")
    given, docs = vector.inputs, docs_of(vector)
    output: dict[str, Any] = {}
    for part, letter in (("semantic", "m"), ("episodic", "e")):
        told = docs if given[part].startswith("all") else docs[: int(given[part].split()[1])]
        ranked = found(told, "memalpha-server", given["query"], given["top_k"])
        output[part] = [f"{letter}{n:03d}" for n, _ in ranked]
    if "bm25_scores_semantic" in vector.record:
        output["scores"] = [score for _, score in sorted(found(docs, "memalpha-server", given["query"], None))]
    return output


def server_expected(vector: Vector) -> dict[str, Any]:
    output = {part: vector.record["output"][part] for part in ("semantic", "episodic")}
    if "bm25_scores_semantic" in vector.record:
        output["scores"] = vector.record["bm25_scores_semantic"]
    return output


def memory_search(vector: Vector) -> list[Any]:
    given = vector.inputs
    ranked = found(docs_of(vector), "memalpha-memory", given["query"], given["top_k"])
    return [[f"m{n:03d}", score] for n, score in ranked]


def baseline_chunks(vector: Vector) -> list[str]:
    docs, given = docs_of(vector), vector.inputs
    return [docs[n] for n, _ in found(docs, "memalpha-longctx", given["query"], given["top_k"])]


def mab_bm25(vector: Vector) -> list[Any]:
    docs, given = docs_of(vector), vector.inputs
    ranked = found(docs, "mab", given["query"], given["k"])
    everything = dict(found(docs, "mab", given["query"], None))
    return [[n for n, _ in ranked], [everything[n] for n in range(len(docs))]]


def shown(vector: Vector) -> int:
    """Items of each part that fit, by the sizes that the vector tells; the frame around them is small."""
    given = vector.inputs
    held = (given["n_semantic"], given["n_episodic"])
    k = fitting_k(lambda k: sum(min(k, n) for n in held) * given["approx_tokens_each"])
    return min(k, given["n_semantic"])


def parsed_response(vector: Vector) -> list[Any]:
    message = manager_message(vector.inputs["response"])
    said = {"role": "assistant", "content": message.content, "reasoning_content": message.reasoning}
    calls = [{"role": "assistant", "content": "", "function_call": call} for call in message.calls]
    return ([said] if message.reasoning or not calls else []) + calls


def parsed_calls(vector: Vector) -> list[Any]:
    text = vector.inputs["text"]
    return [marked_calls(text), text_before_calls(text)]


def schemas(vector: Vector) -> list[Any]:
    ours = [schema["function"] for schema in tool_schemas(core=vector.inputs["including_core"])]
    return [{"name": s["name"]} | {key: s["parameters"][key] for key in ("properties", "required")} for s in ours]


def sequence(vector: Vector) -> dict[str, Any]:
    """A sequence of tool calls: what counts as success, and the memory after it. The published ids are a counter, ours name the
    step, so published ids in the calls are replaced by ours, and ours in the result by the counter."""
    given = vector.inputs
    try:
        count = token_counter("memalpha-o200k")
    except DataError:
        if any(len(str(sent["arguments"])) > 300 for sent in given["calls"]):
            raise  # where a core is cut depends on the vocabulary
        count = token_counter("words")
    memory = ThreePartMemory(core=given["including_core"], count=count)
    ours: dict[str, str] = {}
    success = []
    for sent in given["calls"]:
        arguments = sent["arguments"]
        for theirs, mine in ours.items():
            arguments = arguments.replace(f'"{theirs}"', f'"{mine}"')
        message = json.dumps([{"name": sent["name"], "arguments": arguments}])
        report = memory.apply(parse_operations(message, "memalpha").operations)
        success += [outcome.valid for outcome in report.outcomes]
        ours |= {f"{len(ours) + 1:04}": c.after.id for c in report.changes if c.before is None and c.after.id != "core"}
    theirs = {mine: counter for counter, mine in ours.items()}
    parts = {"semantic": memory.semantic, "episodic": memory.episodic}
    after: dict[str, Any] = {part: [{theirs[i.id]: i.content} for i in items] for part, items in parts.items()}
    after |= {"core": memory.core, "success": success, "rate": sum(success) / len(success) if success else 0.0}
    texts = all(isinstance(text, str) for part in parts for i in vector.record["output"][part] for text in i.values())
    if texts and count is not token_counter("words"):  # contents that are no texts are counted in another way
        after["tokens"] = memory.tokens
    return after


def sequence_expected(vector: Vector) -> dict[str, Any]:
    output = vector.record["output"]
    after = {
        part: [
            {key: text if isinstance(text, str) else json.dumps(text) for key, text in item.items()}
            for item in output[part]
        ]
        for part in ("semantic", "episodic")
    }
    after |= {
        "core": output["core"],
        "success": [step["counts_as_success"] for step in output["steps"]],
        "rate": output["success_rate"],
    }
    return after | ({"tokens": output["total_length_o200k"]} if "tokens" in sequence(vector) else {})


def view(vector: Vector) -> dict[str, Any]:
    """Which items the manager's prompt shows; the prompt around them is the authors' own."""
    given = vector.inputs
    if given["status"] != "memorie":
        return not_copied("the prompt of the answering agent")(vector)
    memory = ThreePartMemory(core=given["including_core"])
    inserts = [
        MemoryCall("INSERT", f"{part} {i}", None, part)
        for i in range(given["n_items"])
        for part in ("semantic", "episodic")
    ]
    core = [Operation("UPDATE", "sum", "core")] if given["including_core"] else []
    memory.apply([*inserts, *core])
    last = given["max_num_of_recent_chunks"]
    text = manager_view(memory, 20 if last is None else last)
    counts = {
        part: sum(f"[{item.id}]" in text for item in items)
        for part, items in (("semantic", memory.semantic), ("episodic", memory.episodic))
    }
    return counts | {"core": "<core_memory>" in text}


def view_expected(vector: Vector) -> dict[str, Any]:
    shows = vector.record["shows"]
    return {part: len(shows[part]) for part in ("semantic", "episodic")} | {"core": vector.inputs["including_core"]}


def tokens(vector: Vector) -> dict[str, int]:
    names = {"o200k_base": "memalpha-o200k", "cl100k_base": "cl100k", "qwen": "qwen"}
    return {key: token_counter(names[key])(vector.inputs["text"]) for key in vector.record["output"]}


MEMORY = (
    Row("MemoryProcessor._tokenize", lambda v: list(search_tokens(v.inputs["text"]))),
    Row("count_tokens", tokens),
    Row("MemoryProcessor.search_memories", server, server_expected, relative=1e-9),
    Row("Memory.memory_search", memory_search, relative=1e-9),
    Row("_bm25_search_chunks", baseline_chunks),
    Row("/batch_process", shown, lambda v: v.record["output"]["n_semantic_shown"]),
    Row("_parse_response", parsed_response),
    Row("_parse_function_calls_from_text", parsed_calls),
    Row("get_memory_tool_schemas", schemas),
    Row("memory tool sequence", sequence, sequence_expected),
    Row("Memory.render_system_prompt", view, view_expected),
    Row("construct_system_prompt", not_copied("the answering agent's prompt")),
)
