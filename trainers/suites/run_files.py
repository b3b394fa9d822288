"""One JSON per run: ``runs/<arm>.json``, with every question, what was retrieved, cited and answered, and what it was worth."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from memenvs.record import EpisodeRecord, ReadingRecord
from memenvs.version import __version__
from trainers.comparison import plain
from trainers.suites.kept import KeptRecords
from trainers.suites.suite import Suite

LIBRARIES = ("numpy", "gymnasium")


def versions() -> dict[str, str]:
    """Of memenvs, Python and the libraries that numbers depend on."""
    return {"memenvs": __version__, "python": platform.python_version()} | {name: version(name) for name in LIBRARIES}


def write_run(path: Path, kept: KeptRecords, row: Mapping[str, Any], facts: Mapping[str, Any], suite: Suite) -> None:
    """Write one run.

    Args:
        path: of the JSON.
        kept: the scored records.
        row: the arm's line of the table.
        facts: what all arms share.
        suite: says which sub-task a question belongs to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    streams = [_stream(record, suite) for record in kept]
    whole = {
        "versions": versions(),
        **facts,
        "settings": _settings(kept),
        "result": plain(dict(row)),
        "streams": streams,
    }
    beside = path.with_suffix(".tmp")
    beside.write_text(json.dumps(whole, indent=1, allow_nan=False), encoding="utf-8")
    beside.replace(path)


def _settings(kept: KeptRecords) -> dict[str, Any]:
    """The settings of the first record that are those of all."""
    first = next(iter(kept), None)
    own = {} if first is None else dict(first.settings)
    return {name: value for name, value in own.items() if name not in ("costs", "stream_index")}


def _stream(record: EpisodeRecord, suite: Suite) -> dict[str, Any]:
    return {
        "stream": record.stream_id,
        "index": record.settings.get("stream_index"),
        "fingerprint": record.fingerprint,
        "source": record.source,
        "steps": record.T,
        "items": len(record.memory),
        "costs": record.settings.get("costs", {}),
        "questions": [_question(question, suite) for question in record.questions],
    }


def _question(question: ReadingRecord, suite: Suite) -> dict[str, Any]:
    return {
        "subtask": suite.column(question.source).name,
        "source": question.source,
        "question": question.question,
        "references": list(question.references),
        "prediction": question.prediction,
        "score": question.score,
        "failure": question.failure,
        "retrieved": [[found.id, found.score] for found in question.retrieved],
        "cited": list(question.evidence_ids),
    }
