"""What a model is asked as reader. The words are ours; `mab` takes MemoryAgentBench's templates instead.

* `conversation` - system and user message for a reading.
* `begun_reply` - what comes before the answer in the reply that is asked for.
* `TEMPLATES` - whose words.

Items are numbered by their place and not called by their ids: rollouts that hold the same texts under other ids then send the same
bytes, which a cache answers at once.
"""

from __future__ import annotations

from typing import Any

from memenvs.errors import SettingsError, did_you_mean
from memenvs.reading.base import Reading
from memenvs.streams.mab_templates import mab_template

TEMPLATES = ("own", "mab")
"""Whose words a reading is put into."""

_RULES = (
    "You answer a question for somebody whose notes you are given. The notes are numbered. Rely on the notes alone, not on what "
    "you know otherwise.\n{task}\n"
    'Reply with one JSON object and nothing else: {{"answer": {form}, "evidence": [numbers of the notes that the answer is from]}}'
)
_TEXT = '"..."'
_SHORT = (
    "Answer with as few words as the question allows, in the words of the notes. Where the notes do not tell, the answer is "
    '"I don\'t know".'
)
_LABEL = (
    "The notes hold texts with their labels, or rules for labels. Find the label of the text in the question. The answer is that "
    "label as the notes write it, without any other word."
)
_SUMMARY = (
    "The answer is a summary that covers everything in the notes which the question asks about, in order, with the names of "
    "persons, places and things. It may be long."
)
_CHOICE = (
    "Where the question offers options, the answer is the one that fits, copied in full. Otherwise answer in few words."
)
_NEWEST = (
    "Facts in the notes bear serial numbers, and some contradict each other: the one with the larger number is the newer and "
    "holds. Answer with the name or phrase alone."
)
_TASKS = {
    "icl": (_LABEL, _TEXT),
    "pubmed": (_LABEL, _TEXT),
    "builtin-label": (_LABEL, _TEXT),
    "infbench_sum": (_SUMMARY, _TEXT),
    "booksum": (_SUMMARY, _TEXT),
    "builtin-summary": (_SUMMARY, _TEXT),
    "recsys": (
        "The answer is a list of the 20 titles that you recommend, the best first, without years and remarks. Where the notes name "
        "too few, add titles like them.",
        '["title", ...]',
    ),
    "eventqa": (_CHOICE, _TEXT),
    "detective": (_CHOICE, _TEXT),
    "factconsolidation": (_NEWEST, _TEXT),
}
"""How a source's name begins -> what is asked for, and the form of the answer."""


def conversation(reading: Reading, templates: str = "own") -> list[dict[str, str]]:
    """System and user message.

    Args:
        reading: question and items; without items the question is asked all the same.
        templates: ``"own"``, or ``"mab"`` for MemoryAgentBench's system and query templates of retrieval agents; those ask for no
            evidence.

    Raises:
        SettingsError: there is no such template, or MemoryAgentBench has none for the reading's source.
    """
    if templates == "mab":
        query = mab_template(reading.source, "query", "rag").format(question=reading.question)
        notes = "\n\n".join(content for _, content in reading.items)
        return _messages(mab_template(reading.source, "system", "rag"), f"{notes}\n\n{query}" if notes else query)
    check_templates(templates)
    task, form = _task(reading)
    notes = "\n".join(f"[{place}] {content}" for place, (_, content) in enumerate(reading.items, 1))
    return _messages(
        _RULES.format(task=task, form=form), f"Notes:\n{notes or '(there are none)'}\n\nQuestion: {reading.question}"
    )


def begun_reply(reading: Reading, templates: str = "own") -> str:
    """What comes before the answer in the reply that `conversation` asks for."""
    check_templates(templates)
    return "" if templates == "mab" else '{"answer": ' + _task(reading)[1].partition('"')[0] + '"'


def _task(reading: Reading) -> tuple[str, str]:
    return next((known for begin, known in _TASKS.items() if reading.source.startswith(begin)), (_SHORT, _TEXT))


def check_templates(templates: Any) -> None:
    """Refuse an unknown name.

    Raises:
        SettingsError: see there.
    """
    if templates not in TEMPLATES:
        hint = did_you_mean(templates, TEMPLATES) if isinstance(templates, str) else ""
        raise SettingsError(f"templates must be one of {', '.join(TEMPLATES)}, got {templates!r}.{hint}")


def _messages(system: str, user: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": system}, {"role": "user", "content": user}]
