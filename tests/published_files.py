"""Small files in the published forms, for the tests of loaders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SUB_DATASETS = (
    "ruler_qa1_197K", "ruler_qa2_421K", "longmemeval_s*", "eventqa_full", "eventqa_65536", "eventqa_131072",
    "icl_banking77_5900shot_balance", "icl_clinic150_7050shot_balance", "icl_nlu_8296shot_balance",
    "icl_trec_coarse_6600shot_balance", "icl_trec_fine_6400shot_balance", "recsys_redial_full",
    "infbench_sum_eng_shots2", "detective_qa",
    *(f"factconsolidation_{hops}_{size}" for hops in ("sh", "mh") for size in ("6k", "32k", "64k", "262k")),
)  # fmt: skip
"""``metadata.source`` of the published rows of MemoryAgentBench."""


def write_json(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    import pyarrow
    from pyarrow import parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def mab_row(source: str, context: str = "Ann likes tea. Bob likes jazz.", **changes: Any) -> dict[str, Any]:
    """One row of MemoryAgentBench with two questions."""
    metadata = {
        "source": source,
        "qa_pair_ids": [f"{source}_no0", f"{source}_no1"],
        "haystack_sessions": [[[{"content": "Hi", "has_answer": False, "role": "user"}]]],
        "keypoints": [],
    }
    row = {
        "context": context,
        "questions": ["What does Ann like?", "And Bob?"],
        "answers": [["tea", "some tea"], ["jazz"]],
        "metadata": metadata,
    }
    return row | changes


def longmemeval_instance(**changes: Any) -> dict[str, Any]:
    """One instance of LongMemEval with two sessions; the first one has the answer."""
    return {
        "question_id": "e1",
        "question_type": "multi-session",
        "question": "What do I like?",
        "answer": "tea",
        "question_date": "2023/05/30 (Tue) 23:40",
        "haystack_session_ids": ["s_late", "s_early"],
        "haystack_dates": ["2023/05/21 (Sun) 02:57", "2023/05/20 (Sat) 02:21"],
        "haystack_sessions": [
            [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Good day."}],
            [{"role": "user", "content": "I like tea.", "has_answer": True}, {"role": "assistant", "content": "Nice."}],
        ],
        "answer_session_ids": ["s_early"],
    } | changes


def locomo_conversation(**changes: Any) -> dict[str, Any]:
    """One conversation of LoCoMo with the traps of the published file."""
    return {
        "sample_id": "conv-1",
        "conversation": {
            "speaker_a": "Ann",
            "speaker_b": "Bob",
            "session_1_date_time": "1:56 pm on 8 May, 2023",
            "session_1": [
                {"speaker": "Ann", "dia_id": "D1:1", "text": "I went to Rome in 2022."},
                {
                    "speaker": "Bob",
                    "dia_id": "D1:2",
                    "text": "Look!",
                    "blip_caption": "a photo of a cat",
                    "img_url": ["x"],
                },
            ],
            "session_10": [{"speaker": "Ann", "dia_id": "D10:5", "text": "I moved to Oslo."}],
            "session_2_date_time": "2 pm on 9 May, 2023",
            "session_2": [{"speaker": "Bob", "dia_id": "D2:1", "text": "My cat is Tom."}],
            "session_3_date_time": "3 pm on 9 May, 2023",
        },
        "qa": [
            {"question": "When was Ann in Rome?", "answer": 2022, "evidence": ["D1:1"], "category": 2},
            {"question": "Who is Tom?", "answer": "a cat", "evidence": ["D1:2; D2:1"], "category": 1},
            {"question": "Where does Ann live?", "answer": "Oslo", "evidence": ["D:10:05", "D", "D9:9"], "category": 4},
            {"question": "Why?", "answer": "no idea", "evidence": [], "category": 3},
            {"question": "What is Bob's dog?", "evidence": ["D2:1"], "category": 5, "adversarial_answer": "Rex"},
        ],
    } | changes


def perltqa_files(folder: Path) -> tuple[Path, Path]:
    """The two files of PerLTQA with one character."""
    memory = {
        "profile": {"Protagonist": "Li", "Gender": "female", "Age": 28, "Title": ""},
        "social_relationship": {"4_0": {"Supporting Characters": "Bo", "Relationship": "brother"}},
        "events": {
            "4_0_0": {"summary": "Bo asks for advice", "content": "Bo came by on Sunday.", "Creation Time": "May 12, 2022"},
            "4_0_1": {"summary": "A course", "content": "Bo took a course.", "Creation Time": ""},
        },
        "dialogues": {
            "4_0_0#0": {"events": "4_0_0", "contents": {"2022-05-12 10:00": ["Bo: Help me: now.", "Li: Yes."]}},
            "9_9_9#0": {"events": "9_9_9", "contents": {"2022-05-13 10:00": ["Li: Alone."]}},
        },
    }  # fmt: skip
    asked = {
        "profile": [{"Question": "Gender?", "Answer": "Li is female.", "Reference Memory": "Gender",
                     "Memory Anchors": [{"female": [-1, -1]}]}],
        "social_relationship": [
            {"4_0": [{"Question": "Who is Bo?", "Answer": "Her brother.", "Reference Memory": "['4_0']", "Memory Anchors": []}]}
        ],
        "events": [
            {"4_0_1": [{"Question": "What did Bo do?", "Answer": "A course.", "Reference Memory": "['4_0_0', '4_0_1']",
                        "Memory Anchors": [{"&quot;course&quot;": [1, 2]}, {"took": [3, 4]}]}]}
        ],
        "dialogues": [{"9_9_9#0": [{"Question": "Was Li alone?", "Answer": "Yes", "Reference Memory": "", "Memory Anchors": []}]}],
    }  # fmt: skip
    return (
        write_json(folder / "perltmem_en_v2.json", {"Li": memory}),
        write_json(folder / "perltqa_en_v2.json", [{"Li": asked}]),
    )
