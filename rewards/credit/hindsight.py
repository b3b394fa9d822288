"""HiMPO: what a step changed about each question's score, as far as the step turned out to matter for that question.

* `memory_credit` - the formula for one question.
* `relevance` - the share of a question's evidence that each step wrote.
* `himpo` - the estimator.
"""

from __future__ import annotations

from memenvs.errors import SettingsError
from memenvs.reading import Reader
from memenvs.record import EpisodeRecord, ReadingRecord
from rewards.credit.history import history
from rewards.credit.replay import StepGame
from rewards.terms import Terms


def memory_credit(new: float, old: float, relevance: float, bound: float = 1.0) -> float:
    """clip(relevance, 0, bound) (new - old).

    Args:
        new, old: how well the question is answered from the memory after and before a write.
        relevance: hindsight relevance of the write for the question.
        bound: the most that a relevance counts.

    Source: HiMPO, arXiv 2606.16285 (abstract): bounded hindsight relevance times the local utility Ans(q; M_t) - Ans(q; M_{t-1}).
    The bounding function is not published; to clip is ours. Oracle 49.
    """
    return min(max(relevance, 0.0), bound) * (new - old)


def relevance(question: ReadingRecord, written: set[str]) -> float:
    """Share of the question's cited items (of the retrieved ones where none was cited) that are among ``written``.

    0 where the question has no items. This is our mapping of hindsight relevance, which the paper has a model judge.
    """
    items = question.evidence_ids or tuple(item.id for item in question.retrieved)
    return sum(item in written for item in items) / max(1, len(items))


def himpo(record: EpisodeRecord, reader: Reader, bound: float = 1.0) -> Terms:
    """c_t = (1/n) sum_j clip(rel_{j,t}, 0, bound) [v_j(M_t) - v_j(M_{t-1})]. Costs up to n (T + 1) readings.

    rel_{j,t} is the share of question j's evidence at the end of the episode that step t ever wrote (INSERT or UPDATE). A step that
    only deletes wrote no evidence and gets 0, whatever it changed.

    Args:
        record: a finished episode.
        reader: who answers from the memories in between.
        bound: the most that a relevance counts, above 0; from 1 on, where a share ends, it changes nothing.

    Returns:
        T floats of either sign.

    Raises:
        SettingsError: ``bound`` is not above 0.
        ReaderError: the reader, or the episode itself, failed.
        DataError: the record lacks settings or contradicts itself.

    Source: see `memory_credit` and `relevance`. The paper applies it to the tokens of the memory alone; here a step is one message.
    """
    if not bound > 0:
        raise SettingsError(f"bound must be above 0, got {bound}")
    game = StepGame(record, reader)
    old = game.examiner.scores(game.replay.memory(()))
    credit = []
    for t, step in enumerate(history(record)):
        new = game.examiner.scores(game.replay.memory(range(t + 1)))
        written = {write.id for write in step.writes}  # what it deleted is no evidence in the end
        shares = [relevance(question, written) for question in record.questions]
        gains = [memory_credit(*given, bound) for given in zip(new, old, shares, strict=True)]
        credit.append(sum(gains) / len(gains))
        old = new
    return tuple(credit)
