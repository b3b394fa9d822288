"""The papers' own numbers, to stand beneath ours.

They were made with other readers (Qwen3-32B, gpt-4o-mini) over the data of their time, so they are no target of ours; rows are
marked as published. Averages are printed as they stand in the paper, with the mean of the row's own columns beside, where the
two differ. Sources: Mem-alpha (wangyu-ustc/Mem-alpha@9c0e1f6, paper, tables 1 and 2); Fine-Mem (arXiv 2601.08435, ablation), which
publishes averages alone; the lengths of its memories say that they are of MemoryAgentBench.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """One row of a paper's table."""

    name: str
    """The method."""
    scores: dict[str, float]
    """Sub-task -> score; empty where only the average is published."""
    average: float
    """As printed."""
    memory: float
    """Memory length as printed, in thousands of tokens."""
    source: str
    """Paper and table."""
    profile: str = ""
    """Rules of the script that scored it, as `memenvs.scoring` names them; "" where that is not known."""
    counter: str = ""
    """What memory lengths are counted with, as `memenvs.memory.token_counters` names it; "" where that is not known."""

    @property
    def mean_of_subtasks(self) -> float:
        """The mean of the printed sub-tasks; the printed average where there are none."""
        return sum(self.scores.values()) / len(self.scores) if self.scores else self.average


_SCRIPTS = {
    "Long-Context": "memalpha-baseline",
    "RAG-Top2": "memalpha-baseline",
    "Qwen3-4B, no RL": "memalpha-eval",
    "gpt-4.1-mini": "memalpha-eval",
    "Mem-alpha": "memalpha-eval",
    "Mem-alpha-4B": "memalpha-eval",
}
"""Method -> rules: Mem-alpha has a script for these two baselines (long_context_eval.py) and one for its agent
(evaluate_agent_results.py), which differ on labels and RULER; none for the others."""


def _rows(source: str, names: str, lines: str, counter: str = "") -> tuple[PublishedRow, ...]:
    """One row per line: method | scores | average | memory."""
    columns = names.split()
    found = []
    for line in lines.strip().splitlines():
        method, scores, average, memory = (part.strip() for part in line.split("|"))
        values = dict(zip(columns, map(float, scores.split()), strict=True)) if scores else {}
        profile = _SCRIPTS.get(method, "")
        found.append(PublishedRow(method, values, float(average), float(memory), source, profile, counter))
    return tuple(found)


PUBLISHED: dict[str, tuple[PublishedRow, ...]] = {
    "memalpha": _rows(
        "Mem-alpha, table 1",
        "SQuAD HotpotQA PerLTQA TREC NLU PubMed BookSum",
        """
        Long-Context        | .742 .852 .605 .623 .708 .533 .052 | .588 | 10.8
        RAG-Top2            | .762 .849 .623 .612 .508 .570 .042 | .567 | 11.3
        MemAgent            | .091 .140 .052 .562 .290 .343 .103 | .236 | .84
        MEM1                | .039 .083 .068 .269 .056 .175 .085 | .111 | .17
        Qwen3-4B, no RL     | .338 .637 .557 .416 .381 .281 .130 | .389 | 3.9
        gpt-4.1-mini        | .426 .749 .492 .637 .519 .544 .246 | .517 | 4.8
        Mem-alpha           | .786 .832 .659 .666 .658 .545 .187 | .642 | 7.9
        """,
        counter="qwen",
    ),
    "memalpha-mab": (
        *_rows(
            "Mem-alpha, table 2",
            "Single Multi LME TREC-C NLU TREC-F Clinic Bank InfB",
            """
            Long-Context    | .280 .270 .292 .640 .740 .340 .860 .770 .125 | .461 | 33
            RAG-Top2        | .690 .450 .581 .690 .650 .210 .700 .750 .065 | .502 | 207
            MemAgent        | .070 .160 .050 .370 .260 .210 .250 .370 .043 | .198 | .92
            MEM1            | .070 .180 .090 .180 0 0 .090 0 .029          | .071 | .21
            Mem-alpha-4B    | .740 .680 .520 .710 .710 .410 .730 .700 .129 | .592 | 129
            """,
            counter="qwen",
        ),
        *_rows(
            "Fine-Mem, ablation",
            "",
            """
            Fine-Mem, outcome only |  | .627 | 92.4
            Fine-Mem, + CSR        |  | .639 | 86.2
            Fine-Mem, + EARA       |  | .622 | 60.7
            Fine-Mem               |  | .663 | 79.1
            """,
        ),
    ),
}
"""Name -> rows."""
