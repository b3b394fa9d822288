"""Files of public sources as records for the builders.

* `Raw` - records with the files and the licence that they come from.
* `READERS` - one reader per source; each knows the forms in which its source is published.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memenvs.errors import DataError
from memenvs.streams.builders.books import Chapter
from memenvs.streams.builders.passages import MultiHop, Paragraph

LABELLED = ("pubmed", "nlu", "trec", "banking77", "clinc150")
"""Sources of labelled sentences; their records are {"train": pairs, "test": pairs}."""
_SHARE_ALIKE = "CC BY-SA 4.0"
_UNKNOWN = "not stated by the source"


@dataclass(frozen=True, slots=True)
class Raw:
    """What was read."""

    records: Any
    """In the form that the source's builder takes."""
    files: tuple[Path, ...]
    """Where it was read."""
    licence: str
    """Of the content, as far as the form of the file tells it."""
    non_commercial: bool = False
    """Whether the licence forbids commercial use."""


@contextmanager
def _expecting(path: Path, form: str) -> Iterator[None]:
    """Whatever goes wrong while a file is taken apart is a `DataError` that names the file and what was expected."""
    try:
        yield
    except (OSError, KeyError, IndexError, TypeError, AttributeError, ValueError, RecursionError, csv.Error) as error:
        what = error if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        raise DataError(f"{path}: expected {form}; {what}") from error


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _json_lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _parquet(path: Path) -> list[dict[str, Any]]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise DataError("reading parquet needs pyarrow: pip install -e '.[data]'") from error
    try:
        return pyarrow.parquet.read_table(path).to_pylist()
    except pyarrow.ArrowException as error:
        raise DataError(f"{path} is not a readable parquet file: {error}") from error


def squad(path: Path) -> Raw:
    """SQuAD v1.1 JSON, or the flat parquet of rajpurkar/squad. Questions without an answer are left out."""
    form = "SQuAD: JSON with data[].paragraphs[].qas[], or parquet with title, context, question, answers.text"
    with _expecting(path, form):
        if path.suffix == ".parquet":
            found = [
                Paragraph(row["context"], row["title"], tuple((row["question"], a) for a in row["answers"]["text"][:1]))
                for row in _parquet(path)
            ]
        else:
            found = [
                Paragraph(
                    paragraph["context"],
                    article["title"],
                    tuple((qa["question"], a["text"]) for qa in paragraph["qas"] for a in qa["answers"][:1]),
                )
                for article in _json(path)["data"]
                for paragraph in article["paragraphs"]
            ]
    return Raw(found, (path,), _SHARE_ALIKE)


def hotpotqa(path: Path) -> Raw:
    """HotpotQA JSON, or the flat parquet of hotpotqa/hotpot_qa. Supporting articles without a text are left out."""
    form = "HotpotQA: a list or a parquet file with question, answer, supporting_facts, context"
    found = []
    with _expecting(path, form):
        for row in _parquet(path) if path.suffix == ".parquet" else _json(path):
            facts, context = row["supporting_facts"], row["context"]
            if isinstance(context, Mapping):
                texts = dict(zip(context["title"], context["sentences"], strict=True))
                wanted = facts["title"]
            else:
                texts, wanted = dict(context), [title for title, _ in facts]
            articles = tuple((title, "".join(texts[title])) for title in dict.fromkeys(wanted) if title in texts)
            if articles:
                found.append(MultiHop(row["question"], row["answer"], articles, str(row.get("_id", row.get("id", "")))))
    return Raw(found, (path,), _SHARE_ALIKE)


def pubmed(path: Path) -> Raw:
    """PubMed-RCT: parquet {text, labels}, or its text form; CSAbstruct's JSON lines in its stead."""
    form = "parquet with text and labels, lines 'LABEL<tab>sentence' under '###id', or JSON lines {sentences, labels}"
    with _expecting(path, form):
        if path.suffix == ".parquet":
            pairs = [(row["text"], str(row["labels"])) for row in _parquet(path)]
        elif path.suffix == ".jsonl":
            entries = _json_lines(path)
            pairs = [pair for e in entries for pair in zip(e["sentences"], e["labels"], strict=True)]
        else:
            lines = path.read_text(encoding="utf-8").splitlines()
            split = [line.split("\t", 1) for line in lines if line.strip() and not line.startswith("###")]
            pairs = [(text, label) for label, text in split]
    licence = "Apache-2.0 (CSAbstruct)" if path.suffix == ".jsonl" else _UNKNOWN
    return Raw({"train": _one_line(pairs), "test": []}, (path,), licence)


def nlu(path: Path) -> Raw:
    """NLU-Evaluation-Data: a CSV of (text, intent) without heading, a Rasa JSON, or a folder with both (train and test)."""
    train, test = _split_files(path, "*.csv", "*.json")
    with _expecting(path, "CSV lines text,intent or JSON with rasa_nlu_data.common_examples[]"):
        parts = {"train": _nlu_pairs(train), "test": _nlu_pairs(test) if test else []}
    return Raw(parts, tuple(file for file in (train, test) if file), "CC BY 4.0")


def _nlu_pairs(path: Path) -> list[tuple[str, str]]:
    if path.suffix == ".json":
        examples = _json(path)["rasa_nlu_data"]["common_examples"]
        return _one_line([(example["text"], example["intent"]) for example in examples])
    with path.open(encoding="utf-8", newline="") as file:
        return _one_line([(text, intent) for text, intent in csv.reader(file)])


def trec(path: Path) -> Raw:
    """TREC label lines, "COARSE:fine question"; the coarse label counts."""
    with _expecting(path, "lines 'COARSE:fine question'"):
        pairs = []
        for line in _utf8_or_latin(path.read_bytes()).splitlines():
            label, _, text = line.partition(" ")
            coarse, colon, _ = label.partition(":")
            if line.strip() and not colon:
                raise ValueError(f"no label in {line[:60]!r}")
            pairs.append((text, coarse))
    return Raw({"train": _one_line(pairs), "test": []}, (path,), _UNKNOWN)


def _utf8_or_latin(data: bytes) -> str:
    """The published TREC file is in Latin-1."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def banking77(path: Path) -> Raw:
    """BANKING77: a CSV with the heading text,category, or the folder with train.csv and test.csv."""
    train, test = _split_files(path, "train.csv", "test.csv")
    with _expecting(path, "CSV with the columns text and category"):
        parts = {"train": _banking_pairs(train), "test": _banking_pairs(test) if test else []}
    return Raw(parts, tuple(file for file in (train, test) if file), "CC BY 4.0")


def _banking_pairs(path: Path) -> list[tuple[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return _one_line([(row["text"], row["category"]) for row in csv.DictReader(file)])


def clinc150(path: Path) -> Raw:
    """CLINC150: data_full.json or its folder. Utterances out of scope are left out: they have no intent."""
    file = path / "data_full.json" if path.is_dir() else path
    with _expecting(file, "JSON with train and test, lists of [text, intent]"):
        loaded = _json(file)
        parts = {name: _one_line([(text, intent) for text, intent in loaded[name]]) for name in ("train", "test")}
    return Raw(parts, (file,), "CC BY 3.0")


def books(path: Path) -> Raw:
    """Texts to read: BookSum chapters (parquet), SQuALITY (JSON lines), or Project Gutenberg texts (a .txt or a folder of them)."""
    form = "parquet with text and summary[].text, JSON lines with document and questions[], or .txt"
    files = tuple(sorted(path.glob("*.txt"))) if path.is_dir() else (path,)
    if not files:
        raise DataError(f"{path}: expected .txt files in the folder, found none")
    with _expecting(path, form):
        if path.suffix == ".parquet":
            rows = _parquet(path)
            found = [Chapter(r["text"], (r["summary"] or [{"text": ""}])[0]["text"], r["book_title"]) for r in rows]
            licence = _UNKNOWN
        elif path.suffix == ".jsonl":
            found = [
                Chapter(e["document"], e["questions"][0]["responses"][0]["response_text"], e["metadata"]["passage_id"])
                for e in _json_lines(path)
            ]
            licence = "CC BY 4.0 (summaries), Project Gutenberg License (stories)"
        else:
            found = [Chapter(_gutenberg_body(file.read_text(encoding="utf-8-sig")), "", file.stem) for file in files]
            licence = "Project Gutenberg: in the public domain in the USA"
    return Raw(found, files, licence)


def _gutenberg_body(text: str) -> str:
    """The text between Project Gutenberg's marks, or all of it."""
    _, start, rest = text.partition("*** START OF")
    return rest.partition("\n")[2].partition("*** END OF")[0] if start else text


def perltqa(path: Path) -> Raw:
    """PerLTQA: the folder with a file of memories (perltmem*.json) and one of questions (perltqa*.json)."""
    files = [sorted(path.glob(f"{name}*.json")) for name in ("perltmem", "perltqa")] if path.is_dir() else []
    if not files or not all(len(found) == 1 for found in files):
        raise DataError(f"{path}: expected a folder with one perltmem*.json and one perltqa*.json")
    memory_file, question_file = (found[0] for found in files)
    with _expecting(
        path, "perltmem (a dict by name, or a list of such values) and perltqa (a list of {name: questions})"
    ):
        memories = _json(memory_file)
        if isinstance(memories, list):
            memories = {entry["profile"]["Protagonist"]: entry for entry in memories}
        asked = {name: questions for entry in _json(question_file) for name, questions in entry.items()}
    return Raw((memories, asked), (memory_file, question_file), "CC BY-NC 4.0", non_commercial=True)


def lme(path: Path) -> Raw:
    """Samples in the layout that Mem-alpha reads for lme_train: {"samples": [{questions, answers, haystack_sessions, ...}]}."""
    with _expecting(path, "JSON with samples[]"):
        return Raw(_json(path)["samples"], (path,), _UNKNOWN)


def _one_line(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Texts in one line each, because a line ends an example; empty ones are left out."""
    flat = [(" ".join(text.split()), label.strip()) for text, label in pairs]
    return [pair for pair in flat if all(pair)]


def _split_files(path: Path, train: str, test: str) -> tuple[Path, Path | None]:
    """The file itself, or the files of training and test in a folder."""
    if not path.is_dir():
        return path, None
    found = [sorted(path.glob(name)) for name in (train, test)]
    if len(found[0]) != 1 or len(found[1]) > 1:
        raise DataError(f"{path}: expected one {train} and at most one {test}, found {[len(files) for files in found]}")
    return found[0][0], found[1][0] if found[1] else None


READERS: Mapping[str, Callable[[Path], Raw]] = {
    "pubmed": pubmed,
    "lme": lme,
    "squad": squad,
    "hotpotqa": hotpotqa,
    "perltqa": perltqa,
    "nlu": nlu,
    "trec": trec,
    "banking77": banking77,
    "clinc150": clinc150,
    "books": books,
}
"""By name of the source, in the order in which rows are written."""
