"""Published scores, judges, rewards and advantages, and our calls for them."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from peer_vectors import NotComparedError, Row, Vector

from memenvs.scoring import rubric_for, score
from memenvs.scoring.infbench import parse_reply, summary_scores
from memenvs.scoring.longmemeval import prompt, says_yes
from memenvs.scoring.mab import post_process
from memenvs.scoring.memalpha import by_source
from memenvs.scoring.metrics import normalize
from memenvs.scoring.published import (
    answer_line,
    boxed_answer,
    contains,
    exact,
    precision_recall,
    rouge_mean,
    text_metrics,
)
from memenvs.scoring.recsys import clean, load_entities, recall, recommendations, title
from rewards import memalpha
from rewards.memalpha_content import call_content, fenced_object, loose_verdict, verdict
from trainers.advantages import group_advantages


class Canned:
    """A judge that always gives one reply."""

    name = "canned"

    def __init__(self, reply: str) -> None:
        self.reply = reply

    def replies(self, prompts):
        return [self.reply] * len(prompts)


def scored(profile: str):
    """`score` under a profile; where the vector's note holds a judge's reply, with a judge who gives it."""

    def ours(vector: Vector) -> float:
        given, note = vector.inputs, vector.record.get("note", "")
        judge = None
        if "judge reply" in note:
            judge = Canned(note.partition("= ")[2][1:-1].replace("\\n", "\n"))
        elif rubric_for(given["data_source"], profile) is not None:
            raise NotComparedError("judged by a model, and the vector has no reply")
        return score(
            given["predicted_answer"], given["gold_answer"], given["data_source"], profile,
            judge=judge, question=given["question"], entities=entities_beside(vector.file),
        )  # fmt: skip

    return ours


def entities_beside(file: Path) -> dict[str, int] | None:
    """The table of titles in the folder of a vector, if there is one."""
    path = file.parent / "recsys_entity2id.json"
    return _entities(path) if path.is_file() else None


@cache
def _entities(path: Path) -> dict[str, int]:
    return load_entities(path)


def post_processed(vector: Vector) -> list[Any]:
    given = vector.inputs
    metrics, parsed = post_process(
        given["output"]["output"], given["answer"], given["sub_dataset"], entities_beside(vector.file)
    )
    return [metrics, parsed]


def recommended(vector: Vector) -> list[Any]:
    given = vector.inputs
    metrics, named, right = recall(given["output"]["output"], given["answer"], entities_beside(vector.file) or {})
    return [metrics, {"parsed_output": named, "gt_movies": right}]


def asked(vector: Vector) -> str:
    given = vector.inputs
    kind = given["task"] + ("_abs" if given["abstention"] else "")
    text = prompt(kind, given["question"], given["answer"], given["response"])
    return hashlib.sha256(text.encode()).hexdigest()


def summary(vector: Vector) -> dict[str, float]:
    given = vector.inputs
    return summary_scores(
        given["fluency"], given["recall"], given["n_keypoints"], given["precision"], given["sentence_count"]
    )


def batch(vector: Vector) -> dict[str, Any]:
    """A whole batch of Mem-alpha's reward; rows are compared as float32, which the published tensors are."""
    given = vector.inputs
    accuracy = [
        float(np.mean([score(p, g, source, "memalpha-train") for p, g in zip(predicted, gold, strict=True)]))
        for predicted, gold, source in zip(given["predicted"], given["gold"], given["data_sources"], strict=True)
    ]
    compressions = [
        memalpha.compression(kept, told)
        for kept, told in zip(given["total_memory_length"], given["total_chunk_length"], strict=True)
    ]
    rows = memalpha.row_rewards(
        accuracy, compressions, given["indices_in_batch"], given["function_call_rewards"], given["content_rewards"],
        given["compression_ratio_weight"], given["function_content_reward_weight"], given["threshold"],
    )  # fmt: skip
    return {"acc": accuracy, "compression": compressions, "row_reward": np.float32(rows).tolist()}


def batch_expected(vector: Vector) -> dict[str, Any]:
    output = vector.record["output"]
    rows = np.float32(output["row_reward"]).tolist()
    return {"acc": output["acc"], "compression": output["compression"], "row_reward": rows}


def advantages(vector: Vector) -> list[float]:
    """Rows of one uid are one group, whatever chunk or rollout they belong to."""
    given = vector.inputs
    rewards, groups = np.array(given["row_reward"]), np.array(given["uid"])
    found = np.zeros(len(rewards))
    for group in dict.fromkeys(given["uid"]):
        rows = groups == group
        found[rows] = group_advantages(
            rewards[rows, None], group="pooled", scale="std" if given["norm_adv_by_std"] else "none",
            eps=given["epsilon"], published=True,
        )[:, 0]  # fmt: skip
    return found.tolist()


def content_scores(vector: Vector) -> dict[str, Any]:
    pairs = [call_content(sent["name"], sent["arguments"]) for sent in vector.inputs["calls"]]
    scores = [float(pair is not None and "GOOD" in pair[1] and "BROKEN" not in pair[1]) for pair in pairs]
    return {"score": sum(scores) / len(scores) if scores else 0.0, "per_call": scores}


def of_output(*names: str):
    """These entries of the published output."""
    return lambda vector: {name: vector.record["output"][name] for name in names}


def not_copied(what: str):
    """Prompts that stand in the vectors as sums only: making them takes the published sentences."""

    def ours(vector: Vector) -> Any:
        raise NotComparedError(f"{what} is published as a sum of the authors' sentences, which are not copied here")

    return ours


MEMALPHA_SCORING = (
    Row("normalize_answer", lambda v: normalize(v.inputs["answer_text"])),
    Row("parse_output", lambda v: answer_line(v.inputs["output_text"])),
    Row("_extract_answer_from_response", lambda v: boxed_answer(v.inputs["predicted_answer"])),
    Row("f1_score", lambda v: precision_recall(v.inputs["prediction"], v.inputs["ground_truth"])),
    Row("drqa_exact_match_score", lambda v: exact(v.inputs["prediction"], v.inputs["ground_truth"])),
    Row("substring_exact_match_score", lambda v: contains(v.inputs["prediction"], v.inputs["ground_truth"])),
    Row("calculate_metrics", lambda v: text_metrics(v.inputs["prediction"], v.inputs["ground_truth_answers"])),
    Row(
        "evaluate_wrt_source",
        lambda v: by_source(
            v.inputs["output"]["output"], v.inputs["answer"], v.inputs["sub_dataset_name"], entities_beside(v.file)
        ),
    ),
    Row("NaiveRewardManager._compute_score_for_data_source", scored("memalpha-train")),
    Row("AgentResultsEvaluator._compute_score", scored("memalpha-eval")),
    Row("LongContextEvaluator._compute_score", scored("memalpha-baseline")),
    Row(
        "AgentResultsEvaluator._compute_rouge_score",
        lambda v: rouge_mean(v.inputs["prediction"], v.inputs["reference"]),
    ),
    Row("NaiveRewardManager.__call__", batch, batch_expected),
    Row("compute_grpo_outcome_advantage", advantages, lambda v: v.record["output"]["row_advantage"], 1e-6),
    Row("/analyze_function", content_scores, of_output("score", "per_call")),
    Row("parse_json_from_markdown", lambda v: fenced_object(v.inputs["response_text"])),
    Row("_validate_json_format", lambda v: verdict(v.inputs["analysis_text"]) is not None),
    Row(
        "_parse_analysis_result",
        lambda v: loose_verdict(v.inputs["analysis_text"]),
        lambda v: v.record["output"]["score"],
    ),
    Row("_get_analysis_prompt", not_copied("the content judge's prompt")),
)
MAB_SCORING = (
    Row("post_process", post_processed, lambda v: [v.record["output"][0], v.record["output"][1]["parsed_output"]]),
    Row("extract_movie_name", lambda v: title(v.inputs["text"])),
    Row("clean_text_elements", lambda v: clean(v.inputs["text"])),
    Row("extract_recommendation_list", lambda v: [recommendations(v.inputs["text"]), ""]),
    Row("_process_recsys_dataset", recommended),
    Row("get_anscheck_prompt", asked, lambda v: v.record["output"]["sha256"]),
    Row("label rule", lambda v: says_yes(v.inputs["reply"])),
    Row("parse_json", lambda v: parse_reply(v.inputs["text"])),
    Row(
        "check_metrics",
        summary,
        lambda v: {name: v.record["output"][name] for name in ("fluency", "recall", "precision", "f1")},
    ),
)
