"""The published benchmarks as environments: one id for each, and one for each of its sub-tasks.

Their data is not part of the package: it comes from a hub, or from ``data=`` (a path; docs/data.md).

* `Benchmark` - one id.
* `benchmarks` - all of them.

Numbers of chunks and questions: wangyu-ustc/Mem-alpha (paper, tables 6-8), HUST-AI-HYZ/MemoryAgentBench@455306d (contexts in tokens
over 4096-token chunks), snap-research/locomo@3eb6f2c (counted).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One id."""

    id: str
    """For `gymnasium.make`."""
    family: str
    """What the streams ask for."""
    data: str
    """Hub id, or the repository where the files are published."""
    split: str
    """Of the data."""
    T: str
    """Steps of a stream."""
    questions: str
    """Streams x questions, as far as they are published."""
    licence: str
    """Of the data."""
    contaminated: bool = False
    """Whether test questions stand in published training data, or are known to be answered without memory."""
    families: tuple[str, ...] = ()
    """The sub-task's question sources; () for all."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Further settings of the data."""

    @property
    def kwargs(self) -> dict[str, Any]:
        """Arguments of `memenvs.env.MemoryEnv`."""
        given: dict[str, Any] = {"data": self.data, "split": self.split}
        given |= {"families": list(self.families)} if self.families else {}
        return given | ({"data_settings": dict(self.settings)} if self.settings else {})


_MEMALPHA = "YuWangX/Memalpha"
_MEMALPHA_TASKS = (
    # name, source, T, streams x questions (training), contaminated
    ("SQuAD", "squad", "10", "100 x 95", False),
    ("HotpotQA", "hotpotqa", "10", "100 x 17", False),
    ("PerLTQA", "perltqa", "23", "27 x 100", False),
    ("LME", "lme_train", "15", "50 x 4", False),
    ("NLU", "icl_nlu_8296shot_balance", "10", "49 x 100", True),
    ("TREC", "icl_trec_coarse_6600shot_balance", "10", "51 x 100", True),
    ("PubMed", "pubmed-rct", "10", "90 x 100", False),
    ("BookSum", "booksum", "8", "100 x 1", False),
)
_MAB = "ai-hyz/MemoryAgentBench"
_MAB_TASKS = {
    # competency -> (its family, contaminated, tasks: name, source, T, streams x questions)
    "AR": ("Accurate_Retrieval", "accurate-retrieval", True, (
        ("RulerQA1", "ruler_qa1_197K", "48", "1 x 100"),
        ("RulerQA2", "ruler_qa2_421K", "103", "1 x 100"),
        ("LongMemEval", "longmemeval_s*", "85", "5 x 60"),
        ("EventQA-Full", "eventqa_full", "up to 195", "5 x 100"),
        ("EventQA-65536", "eventqa_65536", "16", "5 x 100"),
        ("EventQA-131072", "eventqa_131072", "32", "5 x 100"),
    )),
    "TTL": ("Test_Time_Learning", "test-time-learning", False, (
        ("Banking77", "icl_banking77_5900shot_balance", "31", "1 x 100"),
        ("Clinic150", "icl_clinic150_7050shot_balance", "32", "1 x 100"),
        ("NLU", "icl_nlu_8296shot_balance", "33", "1 x 100"),
        ("TREC-Coarse", "icl_trec_coarse_6600shot_balance", "30", "1 x 100"),
        ("TREC-Fine", "icl_trec_fine_6400shot_balance", "31", "1 x 100"),
        ("ReDial", "recsys_redial_full", "up to 361", "1 x 200"),
    )),
    "LRU": ("Long_Range_Understanding", "long-range-understanding", True, (
        ("InfBench-Sum", "infbench_sum_eng_shots2", "44", "100 x 1"),
        ("DetectiveQA", "detective_qa", "up to 49", "10 x 6-10"),
    )),
    "CR": ("Conflict_Resolution", "conflict-resolution", False, tuple(
        (f"Fact{name}-{size.upper()}", f"factconsolidation_{hops}_{size}", steps, "1 x 100")
        for name, hops in (("SH", "sh"), ("MH", "mh"))
        for size, steps in (("6k", "2"), ("32k", "8"), ("64k", "16"), ("262k", "64"))
    )),
}  # fmt: skip
_IN_MEMALPHA = ("NLU", "TREC-Coarse")
"""Tasks whose questions stand in Memalpha's training data."""
_LONGMEMEVAL = "xiaowu0162/longmemeval-cleaned"
_LONGMEMEVAL_TASKS = {
    "User": "single-session-user", "Assistant": "single-session-assistant", "Preference": "single-session-preference",
    "Temporal": "temporal-reasoning", "Update": "knowledge-update", "MultiSession": "multi-session", "Abstention": "abstention",
}  # fmt: skip
_LOCOMO = "snap-research/locomo"
_LOCOMO_TASKS = (
    ("MultiHop", 1, 282),
    ("Temporal", 2, 321),
    ("OpenDomain", 3, 96),
    ("SingleHop", 4, 841),
    ("Adversarial", 5, 446),
)
_PERLTQA = "Elvin-Yiming-Du/PerLTQA"
_PERLTQA_TASKS = ("Profile", "Social_Relationship", "Events", "Dialogues")
_TIME_DIALOG = "ElvinDu518/Memory-T1"
_TIME_DIALOG_TASKS = (
    "Extract", "Localization", "Computation", "Duration_Compare", "Order_Compare", "Explicit_Reasoning", "Order_Reasoning",
    "Relative_Reasoning", "Counterfactual", "Co_temporality", "Timeline",
)  # fmt: skip
_NON_COMMERCIAL = "CC BY-NC 4.0"


def benchmarks() -> list[Benchmark]:
    """Every benchmark and sub-task."""
    return [*_memalpha(), *_memory_agent_bench(), *_longmemeval(), *_locomo(), *_perltqa(), *_time_dialog()]


def _memalpha() -> Iterator[Benchmark]:
    card = "see the data set's card"
    yield Benchmark("Memalpha-v0", "mixed", _MEMALPHA, "train", "8-23", "567 x 1-100", card, True)
    for name, source, steps, questions, contaminated in _MEMALPHA_TASKS:
        yield Benchmark(
            f"Memalpha-{name}-v0", source, _MEMALPHA, "train", steps, questions, card, contaminated, (source,)
        )
    yield Benchmark("Memalpha-Full-v0", "mixed", f"{_MEMALPHA}-full", "train", "8-23", "4139 x 1-100", card, True)
    converted = f"{_MEMALPHA}-Memoryagentbench"
    yield Benchmark("Memalpha-MemoryAgentBench-v0", "mixed", converted, "test", "38-219", "112 x 1-100", card, True)


def _memory_agent_bench() -> Iterator[Benchmark]:
    yield Benchmark("MemoryAgentBench-v0", "mixed", _MAB, "test", "2-361", "146 x 1-200", "MIT", True)
    for short, (competency, family, known, tasks) in _MAB_TASKS.items():
        begin = f"MemoryAgentBench-{short}"
        any_known = known or any(name in _IN_MEMALPHA for name, *_ in tasks)
        count = f"{sum(int(questions.split()[0]) for *_, questions in tasks)} x 1-200"
        yield Benchmark(f"{begin}-v0", family, _MAB, "test", "2-361", count, "MIT", any_known, (competency,))
        for name, source, steps, questions in tasks:
            flag = known or name in _IN_MEMALPHA
            yield Benchmark(f"{begin}-{name}-v0", family, _MAB, "test", steps, questions, "MIT", flag, (source,))


def _longmemeval() -> Iterator[Benchmark]:
    for name, variant, steps in (("S", "s", "about 50"), ("M", "m", "about 500"), ("Oracle", "oracle", "1-6")):
        begin, settings = f"LongMemEval-{name}", {"variant": variant}
        yield Benchmark(f"{begin}-v0", "mixed", _LONGMEMEVAL, "test", steps, "500 x 1", "MIT", settings=settings)
        for task, kind in _LONGMEMEVAL_TASKS.items():
            families = (f"longmemeval-{kind}",)
            yield Benchmark(
                f"{begin}-{task}-v0",
                kind,
                _LONGMEMEVAL,
                "test",
                steps,
                "1 each",
                "MIT",
                families=families,
                settings=settings,
            )


def _locomo() -> Iterator[Benchmark]:
    total = sum(count for *_, count in _LOCOMO_TASKS)
    yield Benchmark("LoCoMo-v0", "mixed", _LOCOMO, "test", "19-32", f"10 x {total / 10:.0f}", _NON_COMMERCIAL)
    for name, number, count in _LOCOMO_TASKS:
        questions, families = f"{count} in 10", (f"locomo-{number}",)
        yield Benchmark(
            f"LoCoMo-{name}-v0", families[0], _LOCOMO, "test", "19-32", questions, _NON_COMMERCIAL, families=families
        )


def _perltqa() -> Iterator[Benchmark]:
    yield Benchmark("PerLTQA-v0", "mixed", _PERLTQA, "test", "about 25", "not published", _NON_COMMERCIAL)
    for name in _PERLTQA_TASKS:
        families = (f"perltqa-{name.lower()}",)
        yield Benchmark(
            f"PerLTQA-{name.replace('_', '')}-v0", families[0], _PERLTQA, "test", "about 25", "not published", _NON_COMMERCIAL,
            families=families,
        )  # fmt: skip


def _time_dialog() -> Iterator[Benchmark]:
    unknown = "not published", "not published"
    yield Benchmark("TimeDialog-v0", "mixed", _TIME_DIALOG, "test", *unknown, "MIT")
    for name in _TIME_DIALOG_TASKS:
        families, known = (f"timedialog-{name.lower()}",), f"TimeDialog-{name.title().replace('_', '')}-v0"
        yield Benchmark(known, families[0], _TIME_DIALOG, "test", *unknown, "MIT", families=families)
