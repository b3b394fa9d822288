"""LongMemEval's rubrics: one prompt per question type, one for unanswerable questions, and how "yes" is read.

The prompts are the benchmark's own, since the published accuracies are made with them (xiaowu0162/LongMemEval@b11ff72:
src/evaluation/evaluate_qa.py; the same in HUST-AI-HYZ/MemoryAgentBench@455306d: llm_based_eval/longmem_qa_evaluate.py, both MIT).
MemoryAgentBench prints the answer as a Python list. Mem-alpha (wangyu-ustc/Mem-alpha@9c0e1f6) asks the preference prompt whatever
the type, and wants a "yes" without any "no" in it: "Yes, I know" is wrong there.
"""

from __future__ import annotations

from memenvs.errors import ScorerError, did_you_mean
from memenvs.scoring.judge import Case, Rubric
from memenvs.scoring.memalpha import after_thinking, stored

_ASK = "I will give you a question, a correct answer, and a response from a model. "
_CORRECT = _ASK + "Please answer yes if the response contains the correct answer. Otherwise, answer no. "
_STEPS = (
    "If the response is equivalent to the correct answer or contains all the intermediate steps to get the correct answer, "
    "you should also answer yes. If the response only contains a subset of the information required by the answer, answer no. "
)
_DAYS = (
    "In addition, do not penalize off-by-one errors for the number of days. If the question asks for the number of "
    "days/weeks/months, etc., and the model makes off-by-one errors (e.g., predicting 19 days when the answer is 18), "
    "the model's response is still correct. "
)
_UPDATED = (
    "If the response contains some previous information along with an updated answer, the response should be considered as "
    "correct as long as the updated answer is the required answer."
)
_RUBRIC = (
    "I will give you a question, a rubric for desired personalized response, and a response from a model. Please answer yes if "
    "the response satisfies the desired response. Otherwise, answer no. The model does not need to reflect all the points in the "
    "rubric. The response is correct as long as it recalls and utilizes the user's personal information correctly."
)
_UNANSWERABLE = (
    "I will give you an unanswerable question, an explanation, and a response from a model. Please answer yes if the model "
    "correctly identifies the question as unanswerable. The model could say that the information is incomplete, or some other "
    "information is given but the asked information is not."
)
_IS_CORRECT = "Is the model response correct? Answer yes or no only."
_IS_FOUND_OUT = "Does the model correctly identify the question as unanswerable? Answer yes or no only."

TASKS: dict[str, tuple[str, str]] = {
    "single-session-user": (_CORRECT + _STEPS, "Correct Answer"),
    "single-session-assistant": (_CORRECT + _STEPS, "Correct Answer"),
    "multi-session": (_CORRECT + _STEPS, "Correct Answer"),
    "temporal-reasoning": (_CORRECT + _STEPS + _DAYS, "Correct Answer"),
    "knowledge-update": (_CORRECT + _UPDATED, "Correct Answer"),
    "single-session-preference": (_RUBRIC, "Rubric"),
}
"""Question type -> (what the judge is told, what the answer is called)."""


def prompt(kind: str, question: str, answer: object, prediction: str) -> str:
    """What the judge is asked about one answer.

    Args:
        kind: one of `TASKS`; what begins with "abstention" or ends in "_abs" for an unanswerable question.
        question: the question.
        answer: the right answer, the rubric, or why there is no answer; printed as Python prints it.
        prediction: the response to judge.

    Raises:
        ScorerError: unknown type.
    """
    if kind.startswith("abstention") or kind.endswith("_abs"):
        told, called, asked = _UNANSWERABLE, "Explanation", _IS_FOUND_OUT
    elif kind in TASKS:
        (told, called), asked = TASKS[kind], _IS_CORRECT
    else:
        raise ScorerError(
            f"LongMemEval's judge needs the question's type as kind: {', '.join(TASKS)}, abstention; got {kind!r}."
            f"{did_you_mean(kind, TASKS)}"
        )
    return f"{told}\n\nQuestion: {question}\n\n{called}: {answer}\n\nModel Response: {prediction}\n\n{asked}"


def says_yes(reply: str) -> bool:
    """LongMemEval's reading: "yes" stands somewhere, if only in "eyes"."""
    return "yes" in reply.lower()


def says_only_yes(reply: str) -> bool:
    """Mem-alpha's reading: "yes" stands somewhere and "no" nowhere, not even in "know"."""
    return says_yes(reply) and "no" not in reply.lower()


def kind_in(source: str) -> str:
    """The question's type that a source names ("longmemeval-multi-session"), or ""."""
    return source.removeprefix("longmemeval-") if source.startswith("longmemeval-") else ""


def _by_type(case: Case) -> tuple[str, ...]:
    return (prompt(case.kind, case.question, stored(case.references), case.prediction),)


def _with_list(case: Case) -> tuple[str, ...]:
    answer = case.references if isinstance(case.references, str) else list(case.references)
    return (prompt(case.kind, case.question, answer, case.prediction),)


BY_TYPE = Rubric("longmemeval", _by_type, lambda case, replies: float(says_yes(replies[0])))
"""The benchmark's own."""
WITH_LIST = Rubric("mab-longmemeval", _with_list, lambda case, replies: float(says_yes(replies[0])))
"""MemoryAgentBench's: the answer is printed as a list."""


def as_preference(both_tags: bool) -> Rubric:
    """Mem-alpha's rubric: the preference prompt for every type, shown the prediction after its thinking.

    Args:
        both_tags: see `memalpha.after_thinking`.
    """

    def asked(case: Case) -> tuple[str, ...]:
        shown = after_thinking(case.prediction, both_tags)
        return (prompt("single-session-preference", case.question, stored(case.references), shown),)

    return Rubric("memalpha-lme", asked, lambda case, replies: float(says_only_yes(replies[0])))
