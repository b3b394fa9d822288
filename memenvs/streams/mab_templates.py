r"""The texts that MemoryAgentBench shows its agents: a table of pieces, put together to the letter.

* `mab_template` - the system message, or what wraps a chunk or a question.
* `memorized` - a chunk in its wrapping, at a time of its own.
* `retrieval_query` - the part of a question's message with which its retrieval agents search.

A chunk's message begins with a time stamp, in the published code the time of the run; here the caller gives one. The ``\n``
before ``<User>`` is a backslash and an n, as published.

Source: HUST-AI-HYZ/MemoryAgentBench@455306d (MIT), utils/templates.py and agent.py; tests compare SHA-256 sums of its templates.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import NamedTuple

from memenvs.errors import SettingsError, did_you_mean

KINDS = ("system", "memorize", "query")
"""Kinds of template."""

_SYSTEM = "You are a helpful assistant that can read the context and memorize it for future retrieval."
_MEMORIZE = (
    "Dialogue between User and Assistant {stamp}\\n<User> The following context is the {what}: \n{{context}}\n"
    " <Assistant> I have {done} and I will answer the question you ask."
)
_AGENTS = {"rag": "rag", "Long_context_agent": "long", "Agentic_memory": "agentic"}
"""What an agent's name contains -> its type; the first that fits decides, so "rag" wins over all others."""


AGENTS = {"rag": "rag", "long_context": "Long_context_agent", "agentic": "Agentic_memory"}
"""Types of agent as settings name them -> a name that the published code takes for one."""
FIRST_DAY = date(2024, 1, 1)
"""Day of the first chunk where the published code has the day of the run: Mem-alpha's, in its copy of the set."""


class _Family(NamedTuple):
    marks: tuple[str, ...]
    """What the names of its sub-datasets contain."""
    stamp: str
    """Where the time stamp stands."""
    what: str
    """What a chunk is."""
    done: str
    """What the agent says it did with it."""
    query: str
    """Wraps a question; ``@`` stands for the words that depend on the agent's type."""
    words: dict[str, str]
    """Those words by type; ``long`` serves where a type is absent."""


_BOOK = ("{time_stamp} ", "book I have read", "read the book")
_POOL = "knowledge pool", "Knowledge Pool", "provided Knowledge Pool", "provided Knowledge Pool"
_ARCHIVE = " Archival Memory", "Archival Memory", "Archival Memory", " Archival Memory"
_FACTS = (
    "Pretend you are a knowledge management system. Each fact in the {0} is provided with a serial number at the beginning, and "
    "the newer fact has larger serial number. \n You need to solve the conflicts of facts in the {4} by finding the newest fact "
    "with larger serial number. You need to answer a question based on this rule. You should give a very concise answer without "
    "saying other words for the question **only** from the knowledge pool you have memorized rather than the real facts in real "
    "world. \n\nFor example:\n\n [{1}] \n\n Question: Based on the {2}, what is the name of the current president of Russia? \n"
    "Answer: Donald Trump \n\n Now Answer the Question: Based on the {3}, {{question}} \nAnswer:"
)
_SEARCH = "Search Archival Memory"
_FAMILIES = (
    _Family(
        ("ruler_", "qa"),
        "{time_stamp}",
        "documents I have read",
        "learned the documents",
        "@",
        {
            kind: f"{do}. Only give me the answer and do not output any other words. \n\n{ask}"
            for kind, do, ask in (
                ("long", "Answer the question based on the memorized documents", "Question: {question} \n\n Answer:"),
                ("rag", "Answer the question based on the memorized documents", " Now Answer the Question: {question}"),
                ("agentic", f"{_SEARCH} and answer my question", "Question: {question} \n\n Answer:"),
            )
        },
    ),
    _Family(
        ("icl_",),
        "{time_stamp} ",
        "examples I have learned",
        "learned the examples",
        "@",
        {
            kind: f"{use} the provided mapping from the context to numerical label to assign a numerical label to the context. "
            f'Only output "label: {{{{label}}}}" and nothing else. \n\n{ask}{{question}} \n\n label:'
            for kind, use, ask in (
                ("long", "Use", ""),
                ("rag", "Use", "Question:"),
                ("agentic", f"{_SEARCH} and use", ""),
            )
        },
    ),
    _Family(
        ("infbench_", "sum"),
        *_BOOK,
        "You are given a book above and you are tasked to summarize it. \n\n{question} \n\n Now summarize the book.",
        {"long": ""},
    ),
    _Family(
        ("eventqa_",),
        "{time_stamp}",
        "book excerpt",
        "read the book excerpt",
        "@, complete the task below:\n\n{question}\n\n The event that happens next is:",
        {"long": "Based on the context you memorized", "agentic": _SEARCH},
    ),
    _Family(
        ("recsys_", "redial"),
        "{time_stamp} ",
        "dialogues between a user and recommender system",
        "memorized the dialogues",
        "Pretend you are a movie recommender system. You need to recommend movies based on the dialogues you have memorized. Now I "
        "will give you a new conversation between a user and you (a recommender system). @, you reply me with 20 recommendations "
        "without extra sentences. \n\nFor Example:\n\n[Conversation]\n\nThe recommendations are: \n1.movie1\n2.movie2\n...\n\n"
        " Here is the conversation: {question} \n\n The recommendations are: \n",
        {"long": "Based on the conversation", "agentic": _SEARCH},
    ),
    _Family(
        ("longmemeval_",),
        "",
        "conversation between the user and the assistant",
        "memorized the conversation",
        "@ the question as concisely as you can, using a single phrase if possible.\n\n {question} \n\n Answer:",
        {
            "long": "The history chats are between you and a user. Based on the relevant chat history, answer",
            "agentic": f"{_SEARCH} and answer",
        },
    ),
    _Family(
        ("factconsolidation_",),
        "{time_stamp} ",
        "facts I have learned",
        "learned the facts",
        "@",
        {"long": _FACTS.format(*_POOL, "knowledge pool"), "agentic": _FACTS.format(*_ARCHIVE, "Archival Memory")},
    ),
    _Family(
        ("detective_", "qa"),
        *_BOOK,
        "@ the question below. You are required to answer the question based on the strict output format.\n\n {question} \n\n",
        {"long": "Based on the context you memorized, answer", "agentic": f"{_SEARCH} and answer"},
    ),
)
_QUERIES = (
    re.compile(r"Now Answer the Question:\s*(.*)", re.DOTALL),
    re.compile(r"Here is the conversation:\s*(.*)", re.DOTALL),
)


def mab_template(sub_dataset: str, kind: str, agent: str) -> str:
    """A template with gaps for `str.format`.

    Args:
        sub_dataset: the row's source, for instance ``"ruler_qa1_197K"``.
        kind: ``"system"`` (no gap), ``"memorize"`` (gaps ``context`` and, but for longmemeval, ``time_stamp``) or ``"query"``
            (gap ``question``).
        agent: the agent's published name; it holds ``rag``, ``Long_context_agent`` or ``Agentic_memory``, and the first of
            these that it holds decides.

    Raises:
        SettingsError: an agent, sub-dataset or kind that the published templates do not know.
    """
    agent_type = next((name for mark, name in _AGENTS.items() if mark in agent), None)
    if agent_type is None:
        raise SettingsError(
            f"agent must contain one of {', '.join(_AGENTS)}, got {agent!r}.{did_you_mean(agent, _AGENTS)}"
        )
    family = next((f for f in _FAMILIES if all(mark in sub_dataset for mark in f.marks)), None)
    if family is None:
        known = ", ".join("...".join(f.marks) for f in _FAMILIES)
        raise SettingsError(f"no template for the sub-dataset {sub_dataset!r}; its name must contain one of {known}")
    if kind == "system":
        return _SYSTEM
    if kind == "memorize":
        return _MEMORIZE.format(stamp=family.stamp, what=family.what, done=family.done)
    if kind == "query":
        return family.query.replace("@", family.words.get(agent_type, family.words["long"]))
    raise SettingsError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}.{did_you_mean(kind, KINDS)}")


def memorized(sub_dataset: str, agent: str, context: str, step: int) -> tuple[str, str]:
    """A chunk as the published agents are told it.

    The published time stamp is that of the run, which no second run has; here chunk 0 comes at `FIRST_DAY`, 00:00, and every other
    one a day after the one before.

    Args:
        sub_dataset: as in `mab_template`.
        agent: a name in `AGENTS`.
        context: the chunk.
        step: its number.

    Returns:
        The message and its time stamp (which the messages of longmemeval do not tell).

    Raises:
        SettingsError: an agent or sub-dataset that the published templates do not know.
    """
    if agent not in AGENTS:
        raise SettingsError(
            f"templates must be None or one of {', '.join(AGENTS)}, got {agent!r}.{did_you_mean(str(agent), AGENTS)}"
        )
    stamp = f"{FIRST_DAY + timedelta(days=step)} 00:00"
    template = mab_template(sub_dataset, "memorize", AGENTS[agent])
    return template.format(context=context, time_stamp=stamp), stamp


def retrieval_query(message: str) -> str:
    """What retrieval agents search for: all that follows the question's announcement, or the whole message without one.

    Args:
        message: a question in its template.
    """
    for pattern in _QUERIES:
        if (found := pattern.search(message)) is not None:
            return found.group(1)
    return message
