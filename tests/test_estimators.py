"""Credit over the step game: published examples as real episodes, identities on embedded streams, probabilities by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from builtin_episodes import WordReader, builtin_record, half_policy
from tiny_episodes import KeyReader, play

from memenvs.errors import DataError, ReaderError, SettingsError
from memenvs.reading import Answer, CachedReader
from rewards import terms
from rewards.credit import StepGame
from rewards.credit.estimators import loo_step, monte_carlo, prefix_difference, shapley, step_shapley
from rewards.credit.items import loo_item
from rewards.credit.registry import estimate

SEEDS = range(6)


class TwoHops:
    """Follows the key to an item, and that item's rest as a key to the next; cites both. Half a path is no answer."""

    name = "two hops"

    def read(self, readings):
        return [self._answer(reading) for reading in readings]

    def _answer(self, reading):
        texts = {text.split()[0]: (item_id, text.partition(" ")[2]) for item_id, text in reading.items}
        if reading.question not in texts:
            return Answer("")
        first, key = texts[reading.question]
        if key not in texts:
            return Answer("")
        second, rest = texts[key]
        return Answer(rest, tuple(item_id for item_id, _ in reading.items if item_id in (first, second)))


# Credit vector 60, example A: something stale, something new, and the stale thing deleted; one item is retrieved.
A = play(
    [[("INSERT", "town Oslo")], [("INSERT", "town Rome")], [("DELETE", "0.0")]],
    {"town": "Rome"},
    k=1,
)
# Example B: the same thing twice and something else, all of it retrieved.
B = play([[("INSERT", "town Rome")], [("INSERT", "town Rome")], [("INSERT", "river Po")]], {"town": "Rome"}, k=3)
# Example C: two items that answer together, and three others, all of them retrieved.
C = play(
    [[("INSERT", text)] for text in ("ann chef", "chef Rome", "river Po", "hill Etna", "lake Como")],
    {"ann": "Rome"},
    reader=TwoHops(),
)


@pytest.mark.parametrize(
    ("name", "settings", "a", "b", "c"),
    [
        ("permutation-shapley", {"permutations": 600}, (-1 / 6, 5 / 6, 1 / 3), (1 / 2, 1 / 2, 0), (1 / 2, 1 / 2, 0, 0, 0)),
        ("evidence", {"beta": 1.0}, (0, 1, 0), (1 / 3, 1 / 3, 1 / 3), (1 / 5,) * 5),
        ("evidence-cited", {"beta": 1.0}, (0, 1, 0), (1, 0, 0), (1 / 2, 1 / 2, 0, 0, 0)),
        ("loo-step", {}, (0, 1, 1), (0, 0, 0), (1, 1, 0, 0, 0)),
        ("loo-item", {}, (0, 1, 0), (0, 0, 0), (1, 1, 0, 0, 0)),
        ("item-shapley", {}, (0, 1, 0), (1 / 2, 1 / 2, 0), (1 / 2, 1 / 2, 0, 0, 0)),
        ("prefix", {}, (0, 0, 1), (1, 0, 0), (0, 1, 0, 0, 0)),
        ("uniform", {}, (1 / 3,) * 3, (1 / 3,) * 3, (1 / 5,) * 5),
        ("trajectory", {}, (1,) * 3, (1,) * 3, (1,) * 5),
    ],
)  # fmt: skip
def test_the_published_examples(name, settings, a, b, c):
    near = 0.05 if name == "permutation-shapley" else 1e-12
    for record, reader, expected in ((A, KeyReader(), a), (B, KeyReader(), b), (C, TwoHops(), c)):
        assert estimate(name, record, reader=reader, **settings) == pytest.approx(expected, abs=near)


def test_exact_shapley_of_the_published_examples():
    assert shapley(A, KeyReader()) == pytest.approx((-1 / 6, 5 / 6, 1 / 3), abs=1e-12)
    assert shapley(B, KeyReader()) == pytest.approx((1 / 2, 1 / 2, 0), abs=1e-12)
    assert shapley(C, TwoHops()) == pytest.approx((1 / 2, 1 / 2, 0, 0, 0), abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_efficiency_and_telescoping_on_embedded_streams(seed):
    record = builtin_record(seed=seed)
    reader = CachedReader(WordReader())
    game = StepGame(record, reader)
    whole = game.value(range(game.T)) - game.value(())
    assert game.value(range(game.T)) == pytest.approx(record.r_global, abs=1e-12)
    for credit in (
        shapley(record, reader),
        shapley(record, reader, exact_below=0, permutations=4),
        prefix_difference(record, reader),
        monte_carlo(record, reader, lambda seen, rngs: ["[]"] * len(seen)),
    ):
        assert math.fsum(credit) == pytest.approx(whole, abs=1e-9)


def test_more_permutations_come_closer_and_the_errors_say_how_close():
    # Example A has an interaction of three steps; a pair of reversed orders is exact for interactions of two.
    exact = step_shapley(A, KeyReader())
    assert (exact.errors == 0).all()
    few, many = (step_shapley(A, KeyReader(), exact_below=0, permutations=p, seed=1) for p in (4, 2000))
    assert np.abs(many.values - exact.values).max() < 0.02
    assert np.abs(many.values - exact.values).sum() < np.abs(few.values - exact.values).sum()
    assert (np.abs(many.values - exact.values) <= 4 * many.errors).all()
    assert 0 < many.errors.min() <= many.errors.max() < few.errors.max()
    assert np.isnan(step_shapley(A, KeyReader(), exact_below=0, permutations=2).errors).all(), "one pair tells no error"
    pairs = {tuple(step_shapley(A, KeyReader(), 0, 2, seed).values) for seed in range(6)}
    assert len(pairs) > 1, "the seed decides the orders"


def test_enumeration_goes_as_far_as_it_is_told_and_counts_only_steps_that_wrote():
    # Example A with a step in between that only skips: three players.
    record = play(
        [[("INSERT", "town Oslo")], [("SKIP",)], [("INSERT", "town Rome")], [("DELETE", "0.0")]], {"town": "Rome"}, k=1
    )
    assert step_shapley(record, KeyReader(), exact_below=3).errors.max() == 0
    sampled = step_shapley(record, KeyReader(), exact_below=2)
    assert sampled.errors[[0, 2, 3]].min() > 0
    assert sampled.values[1] == sampled.errors[1] == 0
    with pytest.raises(SettingsError, match="pairs"):
        shapley(record, KeyReader(), exact_below=2, permutations=5)
    assert shapley(record, KeyReader(), exact_below=3, permutations=5) == pytest.approx((-1 / 6, 0, 5 / 6, 1 / 3))


def test_a_skipped_step_gets_nothing_and_costs_nothing():
    record, bare = builtin_record(), play([[("INSERT", "town Rome")], [("SKIP",)]], {"town": "Rome"})
    for credit in (
        loo_step(record, WordReader()),
        shapley(record, WordReader()),
        prefix_difference(record, WordReader()),
    ):
        assert credit[1] == 0
    reader = CachedReader(KeyReader())
    assert loo_step(bare, reader) == shapley(bare, reader) == prefix_difference(bare, reader) == (1.0, 0.0)
    assert reader.calls == 2, "with the item and without it"
    assert loo_step(play([[("SKIP",)]], {"town": "Rome"}), KeyReader()) == (0.0,)


# ---- probabilities


class Table:
    """Log-probabilities of the reference's tokens by the number of items read; an answer of its own for other references."""

    name = "table"

    def __init__(self, rows, **others):
        self.rows, self.others = rows, others

    def read(self, readings):
        return [Answer("")] * len(readings)

    def token_log_probs(self, readings, answers):
        return [
            self.others[answer] if answer in self.others else self.rows[len(reading.items)]
            for reading, answer in zip(readings, answers, strict=True)
        ]


THREE = play([[("INSERT", f"fact {n}")] for n in "abc"], {"fact": "x"}, reader=Table([]))


def test_probability_differences_of_the_published_example():
    # Vector 15: token log-probabilities before the first turn and after each of three.
    reader = Table([(-2.0, -1.0), (-1.0, -0.5), (-1.2, -0.8), (-0.2, -0.1)])
    credit = prefix_difference(THREE, reader, "probability")
    assert credit == pytest.approx((0.249236392593, -0.10448711157, 0.492828535254), abs=1e-12)
    assert math.fsum(credit) == pytest.approx(0.637577816277, abs=1e-12)
    assert estimate("prefix-probability", THREE, reader=reader) == credit


def test_log_probability_differences_of_the_published_example():
    # Vector 14: p(y) of .1, .2, .16, .64; here y has two tokens, which share its log-probability unevenly.
    p = (0.1, 0.2, 0.16, 0.64)
    reader = Table([(0.25 * math.log(x), 0.75 * math.log(x)) for x in p])
    credit = prefix_difference(THREE, reader, "log_probability")
    assert credit == pytest.approx((0.69314718056, -0.223143551314, 1.38629436112), abs=1e-10)
    assert math.fsum(credit) == pytest.approx(1.85629799037, abs=1e-10)
    assert estimate("prefix-log-probability", THREE, reader=reader) == credit


def with_references(record, *references):
    return replace(record, questions=tuple(replace(q, references=references) for q in record.questions))


def test_the_reference_with_the_best_mean_token_counts():
    # "long" has the better mean (-.6 > -1) although the worse sum (-1.8 < -1).
    record = with_references(THREE, "short", "long")
    reader = Table([], short=(-1.0,), long=(-0.5, -0.6, -0.7))
    empty = Table([(-3.0,)] * 4, short=(-1.0,))
    assert prefix_difference(record, reader, "log_probability") == (0.0, 0.0, 0.0)
    rising = Table([(-3.0,), (-0.9,), (-0.4, -0.4, -0.4), (-2.0,)], short=(-1.0,))
    # Best of "short" and the table: -1, -.9, -.4 (three tokens: -1.2), -1.
    assert prefix_difference(record, rising, "log_probability") == pytest.approx((0.1, -0.3, 0.2))
    assert prefix_difference(record, rising, "probability") == pytest.approx(
        tuple(np.diff(np.exp([-1.0, -0.9, -0.4, -1.0])))
    )
    assert prefix_difference(record, empty, "probability") == (0.0, 0.0, 0.0)


def test_questions_count_alike_however_many_references_they_have():
    record = play([[("INSERT", "a x")]], {"a": "x", "b": "y"}, reader=Table([]))
    first, second = record.questions
    record = replace(record, questions=(replace(first, references=("one", "two")), second))
    reader = Table([(-4.0,), (-2.0,)], one=(-1.0,), two=(-3.0,))
    assert prefix_difference(record, reader, "log_probability") == ((-2.0 + 4.0) / 2,)


def test_probabilities_telescope_on_an_embedded_stream():
    record, reader = builtin_record(), WordReader()
    game = StepGame(record, reader)
    ends = []
    for memory in ((), record.memory):
        readings = game.examiner.readings(memory)
        best = [
            max((tuple(reader.token_log_probs([r], [ref])[0]) for ref in q.references), key=np.mean)
            for r, q in zip(readings, record.questions, strict=True)
        ]
        ends.append((np.mean([math.exp(np.mean(t)) for t in best]), np.mean([sum(t) for t in best])))
    for score, column in (("probability", 0), ("log_probability", 1)):
        credit = prefix_difference(record, reader, score)
        assert math.fsum(credit) == pytest.approx(ends[1][column] - ends[0][column], abs=1e-9)
        assert max(credit) > 0.01


def test_what_cannot_be_asked_for_is_refused():
    with pytest.raises(SettingsError, match=r"'key' gives no probabilities.*token_log_probs"):
        prefix_difference(A, KeyReader(), "probability")
    with pytest.raises(SettingsError, match="Did you mean 'probability'"):
        prefix_difference(A, KeyReader(), "probabilty")
    for references in ((), ("", "x")):
        with pytest.raises(DataError, match="'fact' has the references .*at least one is needed"):
            prefix_difference(with_references(THREE, *references), Table([]), "log_probability")


def test_a_reader_that_fails_or_breaks_its_contract_is_an_error_and_no_number():
    broken = Table([(-1.0,), (), (-1.0,), (-1.0,)])
    with pytest.raises(ReaderError, match="at least one log-probability"):
        prefix_difference(THREE, broken, "probability")
    with pytest.raises(ReaderError, match="table.* raised IndexError"):
        prefix_difference(THREE, Table([]), "probability")
    failed = play([[("INSERT", "town Rome")]], {"town": "Rome"}, fails=True)
    for estimator in (loo_step, shapley, prefix_difference, loo_item):
        with pytest.raises(ReaderError, match="the episode failed"):
            estimator(failed, KeyReader())


# ---- Monte-Carlo


def test_under_a_policy_that_never_writes_the_step_value_is_the_prefix_difference():
    record, reader = builtin_record(), CachedReader(WordReader())
    idle = lambda seen, rngs: ['[{"op": "SKIP"}]'] * len(seen)  # noqa: E731
    assert monte_carlo(record, reader, idle, 2) == pytest.approx(prefix_difference(record, reader), abs=1e-12)


def test_under_a_policy_that_repeats_the_episode_every_step_was_to_be_expected():
    record = A
    again = [step.message for step in record.steps]
    assert monte_carlo(record, KeyReader(), lambda seen, rngs: [again[o.step] for o in seen]) == (0.0, 0.0, 0.0)


def test_monte_carlo_depends_on_its_seed_alone():
    record, reader = builtin_record(seed=2), CachedReader(WordReader())
    credit = monte_carlo(record, reader, half_policy, 4, seed=5)
    assert monte_carlo(record, reader, half_policy, 4, seed=5) == credit
    assert monte_carlo(record, reader, half_policy, 4, seed=6) != credit


# ---- identities of evidence-anchored attribution


@pytest.mark.parametrize("seed", SEEDS)
def test_attribution_shares_out_the_outcome_and_never_blames(seed):
    record = builtin_record(seed=seed)
    shares = terms.attribution(record)
    assert all(question.retrieved for question in record.questions)
    assert math.fsum(shares) == pytest.approx(record.r_global, abs=1e-12)
    assert math.fsum(estimate("evidence", record)) == pytest.approx(record.r_global, abs=1e-12)
    assert min(shares) >= 0
    for step, share in zip(record.steps, shares, strict=True):
        if not any(o.valid and o.op in ("INSERT", "UPDATE") for o in step.operations):
            assert share == 0


def test_attribution_falls_short_exactly_where_a_scored_question_retrieved_nothing():
    class Knows:
        name = "knows"

        def read(self, readings):
            return [Answer("Rome")] * len(readings)

    record = play([[("SKIP",)], [("SKIP",)]], {"town": "Rome", "river": "Po"}, reader=Knows())
    assert record.r_global == 0.5
    assert terms.attribution(record) == (0.0, 0.0)
    assert estimate("evidence", record) == (0.125, 0.125)


def test_a_step_that_only_deletes_earns_nothing_by_evidence_and_something_by_replay():
    assert terms.attribution(A)[2] == 0
    assert shapley(A, KeyReader())[2] == pytest.approx(1 / 3)


@pytest.mark.parametrize("seed", SEEDS)
def test_beta_does_not_change_how_attribution_ranks_the_steps(seed):
    record = builtin_record(seed=seed)
    shares = np.array(terms.attribution(record))
    for beta in (0.1, 0.5, 1.0):
        credit = np.array(estimate("evidence", record, beta=beta))
        # Affine in N_t with one constant for the whole episode.
        assert credit - credit.mean() == pytest.approx(beta * (shares - shares.mean()), abs=1e-12)
    assert len(set(np.round(shares, 9))) > 2 or record.r_global == 0
