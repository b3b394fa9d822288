"""Published chunkers, builders, templates and filters, and our calls for them."""

from __future__ import annotations

import hashlib
import random
import re
import string
from typing import Any

from peer_memory import mab_bm25
from peer_vectors import NotComparedError, Row, Vector

from memenvs.memory import token_counter
from memenvs.streams.builders.conversations import perltqa_chunks
from memenvs.streams.builders.reread import reread_examples
from memenvs.streams.chunking import mab_chunks, mab_questions, pack_articles, pack_contexts, pack_sentences
from memenvs.streams.closed_book import contains_answer, keeps_question
from memenvs.streams.mab_templates import mab_template, retrieval_query
from memenvs.streams.session_chunks import session_chunks


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def sentences(vector: Vector) -> list[str]:
    return pack_sentences(vector.inputs["text"], token_counter("qwen"), vector.inputs["max_tokens"])


def mab_sentences(vector: Vector) -> list[str]:
    given = vector.inputs
    return pack_sentences(given["text"], token_counter("cl100k"), given["max_tokens"], published=False)


def _sizes(vector: Vector) -> tuple[Any, ...]:
    given = vector.inputs
    rng = random.Random(given["seed"]) if given["variable_size"] else None
    return token_counter("qwen"), given["max_tokens"], given["min_tokens"] or 1, rng


def articles(vector: Vector) -> list[Any]:
    packed = pack_articles(vector.inputs["titles"], vector.inputs["texts"], *_sizes(vector))
    return [[chunk, list(titles)] for chunk, titles in packed]


def sessions(vector: Vector) -> dict[str, Any]:
    given, count = vector.inputs, token_counter("qwen")
    chunks = session_chunks(given["haystack_dates"], given["haystack_sessions"], count)
    return {"n_chunks": len(chunks), "chunks": chunks, "tokens": [count(chunk) for chunk in chunks]}


def left_out(vector: Vector) -> int:
    """1 if the question is left out."""
    given = vector.inputs
    return int(not keeps_question(given["ground_truth_answer"], given["predicted_answer"], token_counter("qwen")))


def template(vector: Vector) -> dict[str, Any]:
    given = vector.inputs
    text = mab_template(given["sub_dataset"], given["template_name"], given["agent_name"])
    gaps = [name for _, name, _, _ in string.Formatter().parse(text) if name]
    made: dict[str, Any] = {"sha256": sha256(text), "chars": len(text), "placeholders": gaps}
    if "formatted_tail" in vector.record.get("output", {}):
        made["formatted_tail"] = text.format(question="QQ")[-len(vector.record["output"]["formatted_tail"]) :]
    return made


def query(vector: Vector) -> dict[str, Any]:
    given = vector.inputs
    message = mab_template(given["sub_dataset"], "query", given["agent_name"]).format(question=given["question"])
    found = retrieval_query(message)
    whole = found == message
    return {"query": {"sha256": sha256(found), "chars": len(found)} if whole else found, "whole_message": whole}


ROWS = {
    "infbench_sum_eng_shots2": (["only"], [["s1", "s2"]], ["k1"]),
    "eventqa_full": (["e1", "e2"], [["x"], ["y"]], ["u1", "u2"]),
    "longmemeval_s*": (["l1", "l2"], [["x"], ["y"]], ["v1", "v2"]),
}
"""The data behind the vectors of the conversation creator, which the vectors do not hold: questions, references, ids."""


def asked(vector: Vector) -> list[Any]:
    """Questions in their template with their references; the chunks of a text that is not in the vector cannot be compared."""
    name = vector.inputs["sub_dataset"]
    if name not in ROWS:
        raise NotComparedError("a loader's refusal of a row that is not in the vector (test_mab_loader has ours)")
    questions, answers, ids = ROWS[name]
    text = mab_template(name, "query", vector.inputs["agent_name"])
    return [
        [
            [sha256(text.format(question=question))[:16], references, key]
            for (question, references), key in zip(mab_questions(questions, answers), ids, strict=True)
        ]
    ]


def characters(vector: Vector) -> list[Any]:
    """The chunks; published questions carry a model's shortened answers."""
    return [list(perltqa_chunks(entry, published=True).values()) for entry in vector.inputs["perltmem"]]


def no_input(vector: Vector) -> Any:
    raise NotComparedError(
        "the text that it was made from is not in the vector, and its wording and its draws are the authors' (unseeded in the "
        "release); `streams.builders.labelled` builds such streams by stated rules"
    )


def converted(vector: Vector) -> list[Any]:
    """The examples of the first and the last chunk, and how many are left; the wording around them is the authors'."""
    item = vector.inputs["items"][0]
    if not item["metadata"]["source"].startswith("icl"):
        raise NotComparedError("a conversion whose frame is the authors' wording")
    kept = reread_examples(item["context"], token_counter("qwen"))
    return [len(kept), sum(map(len, kept)), kept[0], kept[-1]]


def converted_expected(vector: Vector) -> list[Any]:
    output = vector.record["output"]
    first, last = (re.findall(r"Sentence: (.*)\nLabel: (.*)", output[name]) for name in ("chunk0", "chunk_last"))
    return [output["n_chunks"], output["labels_kept"], first, last]


MEMALPHA_STREAMS = (
    Row("create_chunks_use_sent_tokenizer", sentences),
    Row("create_chunks", lambda v: pack_contexts(v.inputs["contexts"], *_sizes(v))),
    Row("create_chunks_with_titles", articles),
    Row("judge_answer_with_token_logic", left_out),
    Row("is_answer_correct", lambda v: contains_answer(v.inputs["model_answer"], v.inputs["expected_answer"])),
    Row("process_lme_train_dataset", sessions),
    Row("PerLTQAProcessor", characters, lambda v: [entry["chunks"] for entry in v.record["output"]]),
    Row("process_ttl_train_dataset", no_input),
    Row("process_memory_agent_bench", converted, converted_expected),
)
MAB_STREAMS = (
    Row(
        "chunk_text_into_sentences",
        lambda v: mab_chunks(v.inputs["text"], token_counter("o200k"), v.inputs["chunk_size"]),
    ),
    Row("create_chunks_use_sent_tokenizer", mab_sentences),
    Row("ConversationCreator", asked, lambda v: v.record["output"]["qa"]),
    Row("get_template", template),
    Row("_extract_retrieval_query", query),
    Row("BM25Retriever path", mab_bm25, lambda v: [v.record["output"], v.record["scores"]], relative=1e-9),
)
