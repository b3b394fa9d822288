"""Records of public sources to parquet files in the published Memalpha schema, with evidence beside them and a manifest.

* `BuildSettings` - what may be chosen.
* `build` - from raw files to a folder that `memenvs.streams.load` opens.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from memenvs.endpoint import ChatEndpoint
from memenvs.errors import DataError, SettingsError, did_you_mean, whole
from memenvs.memory.token_counters import token_counter
from memenvs.streams.builders.books import BookRule, books
from memenvs.streams.builders.chunk_questions import by_rule
from memenvs.streams.builders.conversations import lme, perltqa
from memenvs.streams.builders.instance import Instance, rng, sample
from memenvs.streams.builders.labelled import RULES, label_ids, labelled
from memenvs.streams.builders.passages import HOTPOTQA, PassageRule, hotpotqa, relaxed, squad
from memenvs.version import __version__
from trainers.data_build.closed_book import ClosedBook
from trainers.data_build.files import sha256, write_table, write_text
from trainers.data_build.raw import LABELLED, READERS, Raw

SMALL_QUESTIONS, SMALL_CHUNKS = 10, 2
"""What an instance needs at least where files are small."""
PASSAGES = ("squad", "hotpotqa")
"""Sources whose questions a model may answer without the text."""
Splits = tuple[list[Instance], list[Instance]]
"""Training and test instances."""


@dataclass(frozen=True)
class BuildSettings:
    """What may be chosen in a build."""

    seed: int = 0
    """Of every draw. Equal seed and files give equal streams, whatever the hash seed."""
    instances: int = 100
    """Most training instances of a source, as in the published training file."""
    small: bool = False
    """Keep what the published sizes leave out: instances with 10 questions, books of 2 chunks, whole books in parts of 20."""
    chunk_questions: Literal["rules", "none"] = "rules"
    """Questions on each chunk for the step reward: made by rule from its sentences and verified by the extractive reader, or
    none."""
    per_chunk: int = 5
    """Most questions of a chunk."""
    tokens: str = "words"
    """What sizes of chunks count, one of `memenvs.memory.token_counters`; the published sizes are in "o200k" or "qwen"."""

    def __post_init__(self) -> None:
        for name, least in (("seed", 0), ("instances", 1), ("per_chunk", 1)):
            whole(name, getattr(self, name), least)
        if self.chunk_questions not in ("rules", "none"):
            raise SettingsError(f"chunk_questions must be rules or none, got {self.chunk_questions!r}")
        token_counter(self.tokens)


def check_sources(names: Collection[str], closed_book: bool = False) -> None:
    """Refuse what cannot be built, before anything is written.

    Args:
        names: of the sources.
        closed_book: whether a model is asked without the text.

    Raises:
        SettingsError: an unknown source, or none; or the model is of no use for any.
    """
    if not names:
        raise SettingsError(f"name at least one source: {', '.join(READERS)}")
    for name in names:
        if name not in READERS:
            raise SettingsError(f"unknown source {name!r}; known: {', '.join(READERS)}.{did_you_mean(name, READERS)}")
    if closed_book and not set(names) & set(PASSAGES):
        raise SettingsError(f"closed_book filters questions of {' and '.join(PASSAGES)}; name one of them as a source")


def build(
    paths: Mapping[str, Path],
    out: Path,
    settings: BuildSettings = BuildSettings(),
    progress: Callable[[str], None] = lambda line: None,
    closed_book: ChatEndpoint | None = None,
) -> dict[str, Any]:
    """Build ``out``: train.parquet, test.parquet, their .evidence.jsonl files and MANIFEST.json.

    A tenth of each source's instances is held out, at least one if there are two; of ``lme`` nothing is (as published). In the
    sources of labelled sentences the held-out instances ask sentences that no training instance holds.

    Args:
        paths: by source, a name in `trainers.data_build.raw.READERS`: its file or folder.
        out: folder.
        settings: see there.
        progress: told what is being done.
        closed_book: a model; questions of squad and hotpotqa that it answers without the text are left out, as published. What it
            left out is in the manifest.

    Returns:
        The manifest.

    Raises:
        DataError: a file cannot be read, no instance came out of anything, or a closed-book question got no reply.
        SettingsError: an unknown source, or none; or the model is of no use for any.
    """
    check_sources(paths, closed_book is not None)
    sources: dict[str, Any] = {}
    built: dict[str, list[Instance]] = {"train": [], "test": []}
    for name in (name for name in READERS if name in paths):
        progress(f"{name}: {paths[name]}")
        raw = READERS[name](paths[name])
        extra: dict[str, Any] = {}
        if name in LABELLED:
            (train, test), extra["labels"] = _labelled(name, raw, settings)
        else:
            ask = None
            if closed_book is not None and name in PASSAGES:
                ask = ClosedBook(closed_book, token_counter(settings.tokens))
            found, dropped = _instances(name, raw, settings, ask)
            if ask is not None:
                extra["closed_book"] = {"model": ask.model.name} | ask.report()
            train, test = _divide(name, found, settings)
            extra["dropped"] = dict(sorted(dropped.items()))
        built["train"] += train
        built["test"] += test
        sources[name] = {
            "files": [{"name": file.name, "bytes": file.stat().st_size, "sha256": sha256(file)} for file in raw.files],
            "licence": raw.licence,
            "non_commercial": raw.non_commercial,
            "instances": {"train": len(train), "test": len(test)},
            **extra,
        }
    if not built["train"]:
        raise DataError(
            f"no instance came out: {json.dumps({name: entry.get('dropped') for name, entry in sources.items()})}; give "
            "larger files, or keep small instances too (--small)"
        )
    files = {split: _write(out, split, found, settings, progress) for split, found in built.items() if found}
    manifest = {
        "memenvs": __version__,
        "settings": asdict(settings),
        "sources": sources,
        "files": files,
    }
    write_text(out / "MANIFEST.json", json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
    return manifest


def _instances(
    name: str, raw: Raw, settings: BuildSettings, ask: ClosedBook | None
) -> tuple[list[Instance], Counter[str]]:
    count = token_counter(settings.tokens)
    if name in PASSAGES:
        rule, made = (PassageRule(), squad) if name == "squad" else (HOTPOTQA, hotpotqa)
        rule = relaxed(rule, SMALL_QUESTIONS) if settings.small else rule
        return made(raw.records, settings.seed, rule, count, ask or list)
    if name == "books":
        return books(
            raw.records,
            settings.seed,
            BookRule(least=SMALL_CHUNKS, parts=True) if settings.small else BookRule(),
            count,
        )
    if name == "perltqa":
        memories, asked = raw.records
        return perltqa(memories, asked, settings.seed)
    return lme(raw.records, count=count)


def _divide(name: str, found: Sequence[Instance], settings: BuildSettings) -> Splits:
    """Nine tenths for training, of them at most ``settings.instances``, and the rest for the test, both in source order."""
    order = list(range(len(found)))
    rng(settings.seed, "split", name).shuffle(order)
    held = 0 if name == "lme" or len(found) < 2 else max(1, len(found) - int(0.9 * len(found)))
    apart = set(order[:held])
    train = [instance for i, instance in enumerate(found) if i not in apart]
    kept = sample(train, settings.instances, rng(settings.seed, "instances", name))
    return kept, [found[i] for i in sorted(apart)]


def _labelled(name: str, raw: Raw, settings: BuildSettings) -> tuple[Splits, dict[str, str]]:
    """Instances of training and test; sentences of the source's own test part, or a tenth of all, are only asked in the test."""
    pairs = {split: sorted(set(raw.records[split])) for split in ("train", "test")}
    ids = label_ids([label for _, label in pairs["train"]], settings.seed)
    pool = [(text, ids[label]) for text, label in pairs["train"]]
    apart = [(text, ids[label]) for text, label in pairs["test"] if label in ids]
    if not apart:
        order = rng(settings.seed, "held out", name).sample(pool, len(pool))
        apart, pool = order[: len(order) // 10], order[len(order) // 10 :]
    seen = {text for text, _ in apart}
    pool = [pair for pair in pool if pair[0] not in seen]
    rule, count = RULES[name], token_counter(settings.tokens)
    train = labelled(pool, [], rule, settings.instances, settings.seed, "train", count)
    test = labelled(pool, apart, rule, max(1, settings.instances // 9), settings.seed, "test", count)
    return (train, test), {number: label for label, number in sorted(ids.items())}


def _write(
    out: Path, split: str, found: Sequence[Instance], settings: BuildSettings, progress: Callable[[str], None]
) -> dict[str, Any]:
    """One split's parquet and evidence; what the manifest says of them."""
    import pyarrow

    rows = [_row(number, instance) for number, instance in enumerate(found)]
    counts = {"instances": len(rows), "chunks": sum(len(i.chunks) for i in found)}
    counts["questions"] = sum(len(i.questions) for i in found)
    if settings.chunk_questions == "rules":
        progress(f"{split}: questions on {counts['chunks']} chunks")
        counts["chunk_questions"] = 0
        for row, instance in zip(rows, found, strict=True):
            asked = by_rule(instance.chunks, instance.source, settings.per_chunk)
            row["chunk_questions"] = json.dumps(asked, ensure_ascii=False)
            counts["chunk_questions"] += sum(map(len, asked))
    path = out / f"{split}.parquet"
    write_table(path, pyarrow.Table.from_pylist(rows))
    lines = [
        json.dumps(
            {
                "instance_id": number,
                "data_source": instance.source,
                "evidence_chunk_idx": [list(question.evidence) for question in instance.questions],
            }
        )
        for number, instance in enumerate(found)
    ]
    evidence = path.with_suffix(".evidence.jsonl")
    write_text(evidence, "".join(line + "\n" for line in lines))
    by_source = Counter(instance.source for instance in found)
    return {
        **counts,
        "by_data_source": dict(sorted(by_source.items())),
        "sha256": {file.name: sha256(file) for file in (path, evidence)},
    }


def _row(number: int, instance: Instance) -> dict[str, Any]:
    """A row of the published schema."""
    pairs = [{"question": question.question, "answer": question.answer} for question in instance.questions]
    return {
        "instance_id": number,
        "prompt": "",
        "chunks": json.dumps(instance.chunks, ensure_ascii=False),
        "questions_and_answers": json.dumps(pairs, ensure_ascii=False),
        "data_source": instance.source,
        "metadata": json.dumps(dict(instance.metadata), ensure_ascii=False, sort_keys=True),
        "num_chunks": len(instance.chunks),
        "num_questions": len(instance.questions),
    }
