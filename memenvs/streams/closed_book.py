"""Which questions Mem-alpha's data sets keep: short answers that a model does not give without having read the text.

Source: wangyu-ustc/Mem-alpha@9c0e1f6, process_data.py (judge_answer_with_token_logic, is_answer_correct).
"""

from __future__ import annotations

from memenvs.memory.tokens import TokenCounter

SHORT = 5
"""Answers of fewer tokens are short."""


def contains_answer(reply: str, answer: str) -> bool:
    """Whether ``answer`` stands in ``reply``, case and outer white space aside; an empty one never does."""
    inner = answer.strip().lower()
    return bool(inner) and inner in reply.strip().lower()


def keeps_question(answer: str, closed_book_reply: str, count: TokenCounter) -> bool:
    """Whether the published filter keeps a question.

    Args:
        answer: the reference.
        closed_book_reply: what a model answers to the question alone.
        count: token counter; ``token_counter("qwen")`` for the published sets.

    Returns:
        True where the answer is short and not in the reply. Also where either is empty: the published code keeps these.
    """
    if not answer.strip() or not closed_book_reply.strip():
        return True
    return count(answer.strip()) < SHORT and not contains_answer(closed_book_reply, answer)
