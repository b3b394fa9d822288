"""The suites.

Columns, metrics and splits: wangyu-ustc/Mem-alpha@9c0e1f6 (paper, tables 1 and 2), HUST-AI-HYZ/MemoryAgentBench@455306d (README),
xiaowu0162/LongMemEval@b11ff72, snap-research/locomo@3eb6f2c, Elvin-Yiming-Du/PerLTQA.
"""

from __future__ import annotations

from memenvs.errors import SettingsError, did_you_mean
from memenvs.memory.bank import MemoryLimits
from trainers.suites.suite import Column, Suite

_ICL = {
    "Bank": "icl_banking77",
    "Clinic": "icl_clinic150",
    "NLU": "icl_nlu",
    "TREC-C": "icl_trec_coarse",
    "TREC-F": "icl_trec_fine",
}


def _columns(group: str = "", **sources: str) -> tuple[Column, ...]:
    return tuple(Column(name.replace("_", "-"), (source,), group) for name, source in sources.items())


_MEMALPHA = Suite(
    "memalpha",
    "Memalpha's validation streams: table 1 of Mem-alpha.",
    "YuWangX/Memalpha",
    "test",
    "memalpha-eval",
    _columns(
        SQuAD="squad", HotpotQA="hotpotqa", PerLTQA="perltqa", TREC=_ICL["TREC-C"], NLU=_ICL["NLU"], PubMed="pubmed-rct",
        BookSum="booksum",
    ),
    retrieval="memalpha-server",
    k=20,
    published="memalpha",
)  # fmt: skip
_MEMALPHA_MAB = Suite(
    "memalpha-mab",
    "MemoryAgentBench as Mem-alpha converted it: table 2 of Mem-alpha.",
    "YuWangX/Memalpha-Memoryagentbench",
    "test",
    "memalpha-eval",
    _columns(
        Single="ruler_qa1", Multi="ruler_qa2", LME="longmemeval_s", TREC_C=_ICL["TREC-C"], NLU=_ICL["NLU"],
        TREC_F=_ICL["TREC-F"], Clinic=_ICL["Clinic"], Bank=_ICL["Bank"], InfB="infbench_sum",
    ),
    retrieval="memalpha-server",
    k=20,
    published="memalpha-mab",
)  # fmt: skip
_FACTS = {
    f"Fact{hops.upper()}_{size}": f"factconsolidation_{hops}_{size}"
    for hops in ("sh", "mh")
    for size in ("6k", "32k", "64k", "262k")
}
_MAB = Suite(
    "memoryagentbench",
    "MemoryAgentBench: four competencies, every sub-dataset with the metric of its README.",
    "ai-hyz/MemoryAgentBench",
    "test",
    "mab",
    (
        *_columns(
            "Accurate retrieval", Ruler_QA1="ruler_qa1", Ruler_QA2="ruler_qa2", LongMemEval="longmemeval_s",
            EventQA="eventqa",
        ),
        *_columns(
            "Test-time learning", Banking77=_ICL["Bank"], Clinic150=_ICL["Clinic"], NLU=_ICL["NLU"],
            TREC_Coarse=_ICL["TREC-C"], TREC_Fine=_ICL["TREC-F"], ReDial="recsys_redial",
        ),
        *_columns("Long-range understanding", InfBench_Sum="infbench_sum", DetectiveQA="detective_qa"),
        *_columns("Conflict resolution", **_FACTS),
    ),
    retrieval="mab",
    unit="question",
    file_settings={"fact_evidence": True},
)  # fmt: skip
_FACT_CONSOLIDATION = Suite(
    "factconsolidation",
    "The conflict resolution of MemoryAgentBench: of two facts about one thing the newer one counts.",
    _MAB.data,
    "Conflict_Resolution",
    "mab",
    tuple(
        Column(name.replace("_", "-"), (source,), "Single-hop" if "_sh_" in source else "Multi-hop")
        for name, source in _FACTS.items()
    ),
    retrieval="mab",
    unit="question",
    managers=("every_fact", "newest_fact"),
    file_settings=_MAB.file_settings,
)


def _longmemeval(name: str, variant: str, sessions: str) -> Suite:
    """Counted as in xiaowu0162/LongMemEval@b11ff72:src/evaluation/print_qa_metrics.py.

    A question without an answer belongs to its type; the accuracy over all such questions is printed beside and averaged nowhere.
    """
    kinds = ("single-session-user", "single-session-assistant", "single-session-preference", "temporal-reasoning",
             "knowledge-update", "multi-session")  # fmt: skip
    return Suite(
        name,
        f"LongMemEval by question type, {sessions} sessions a question; its own score needs a judge.",
        "xiaowu0162/longmemeval-cleaned",
        "test",
        "longmemeval",
        tuple(Column(kind, (f"longmemeval-{kind}", f"longmemeval-abstention-{kind}")) for kind in kinds),
        also=(Column("abstention", ("longmemeval-abstention",)),),
        unit="question",
        settings={"variant": variant},
    )


_LOCOMO = Suite(
    "locomo",
    "LoCoMo's F1 by question category.",
    "snap-research/locomo",
    "test",
    "locomo",
    tuple(
        Column(name, (f"locomo-{number}",))
        for name, number in (
            ("single-hop", 4),
            ("multi-hop", 1),
            ("temporal", 2),
            ("open-domain", 3),
            ("adversarial", 5),
        )
    ),
    unit="question",
)
_PERLTQA = Suite(
    "perltqa",
    "PerLTQA by the kind of memory that a question asks for.",
    "Elvin-Yiming-Du/PerLTQA",
    "test",
    "corrected",
    tuple(
        Column(kind.replace("_", " "), (f"perltqa-{kind}",))
        for kind in ("profile", "social_relationship", "events", "dialogues")
    ),
    unit="question",
)
_BUILTIN = Suite(
    "builtin",
    "The embedded generator, which needs no data: for a first look. Three writes a step, so that choosing matters.",
    "builtin",
    "test",
    "corrected",
    _columns(fact="builtin-fact", count="builtin-count", label="builtin-label", summary="builtin-summary"),
    k=5,
    limits=MemoryLimits(max_operations=3, max_item_tokens=48),
    streams=20,
)
_ALL = (
    _MEMALPHA,
    _MEMALPHA_MAB,
    _MAB,
    _longmemeval("longmemeval", "s", "about 50"),
    _longmemeval("longmemeval-m", "m", "about 500"),
    _longmemeval("longmemeval-oracle", "oracle", "only the answering"),
    _LOCOMO,
    _PERLTQA,
    _FACT_CONSOLIDATION,
    _BUILTIN,
)
SUITES: dict[str, Suite] = {suite.name: suite for suite in _ALL}
"""Name -> suite."""


def find_suite(name: str) -> Suite:
    """The suite of this name.

    Raises:
        SettingsError: there is none.
    """
    if name not in SUITES:
        raise SettingsError(f"unknown suite {name!r}; known: {', '.join(SUITES)}.{did_you_mean(name, SUITES)}")
    return SUITES[name]
