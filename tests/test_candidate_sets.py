"""Drawing sets of candidates: exact probabilities, and draws that follow them."""

from itertools import combinations, permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.candidate_sets import NEVER, draw, set_log_prob


def brute_force(logits, sentence_of, item_of, chosen, limit):
    """Probability of a set: the sum over its orders of the products of conditional probabilities."""
    weights = np.exp(np.asarray(logits, np.float64))

    def conflict(a, b):
        return (sentence_of[a] >= 0 and sentence_of[a] == sentence_of[b]) or (
            item_of[a] >= 0 and item_of[a] == item_of[b]
        )

    total = 0.0
    for order in permutations(chosen):
        probability, allowed = 1.0, list(range(len(weights)))
        for c in order:
            if c not in allowed:
                probability = 0.0
                break
            probability *= weights[c] / weights[allowed].sum()
            allowed = [a for a in allowed if not conflict(a, c)]
        if len(chosen) < limit:
            probability *= weights[0] / weights[allowed].sum()
        total += probability
    return total


def legal_sets(sentence_of, item_of, limit):
    found = []
    for m in range(limit + 1):
        for chosen in combinations(range(1, len(sentence_of)), m):
            sentences = [sentence_of[c] for c in chosen if sentence_of[c] >= 0]
            touched = [item_of[c] for c in chosen if item_of[c] >= 0]
            if len(set(sentences)) == len(sentences) and len(set(touched)) == len(touched):
                found.append(chosen)
    return found


def log_prob_of_sets(logits, sentence_of, item_of, sets, limit):
    chosen = torch.tensor([[*s, *[-1] * (limit - len(s))] for s in sets])
    n = len(sets)
    expand = lambda x: torch.as_tensor(np.asarray(x))[None].expand(n, -1)  # noqa: E731
    return set_log_prob(expand(logits), expand(sentence_of), expand(item_of), chosen)


# Two sentences, two items: STOP, INSERT 0, INSERT 1, UPDATE (0,0), (0,1), (1,1), DELETE 0, DELETE 1
SENTENCE_OF = [-1, 0, 1, 0, 0, 1, -1, -1]
ITEM_OF = [-1, -1, -1, 0, 1, 1, 0, 1]


@settings(max_examples=30)
@given(st.lists(st.floats(-4, 4), min_size=8, max_size=8), st.integers(1, 4))
def test_set_probability_is_the_sum_over_orders_and_all_sets_sum_to_one(logits, limit):
    sets = legal_sets(SENTENCE_OF, ITEM_OF, limit)
    got = log_prob_of_sets(np.array(logits), SENTENCE_OF, ITEM_OF, sets, limit)[0].exp().numpy()
    assert got.sum() == pytest.approx(1.0, abs=1e-9)
    for probability, chosen in zip(got, sets, strict=True):
        assert probability == pytest.approx(
            brute_force(logits, SENTENCE_OF, ITEM_OF, chosen, limit), rel=1e-6, abs=1e-12
        )


def test_hand_computed_set_probability():
    # Weights STOP 1, INSERT a 2, INSERT b 3, no item. P({a}) = 2/6 * 1/4, P({a, b}) = 2/6*3/4 + 3/6*2/3 at L = 2.
    logits = np.log([1.0, 2.0, 3.0])
    log_prob, entropy = log_prob_of_sets(logits, [-1, 0, 1], [-1, -1, -1], [(), (1,), (1, 2)], 2)
    assert log_prob.exp().tolist() == pytest.approx([1 / 6, 1 / 12, 1 / 4 + 1 / 3])
    first = -sum(p * np.log(p) for p in (1 / 6, 2 / 6, 3 / 6))
    second = -sum(p * np.log(p) for p in (1 / 4, 3 / 4))
    assert entropy.tolist() == pytest.approx([first, first + second, first + second])


def test_order_of_the_draws_does_not_matter_and_padding_has_no_effect():
    logits = np.array([0.3, -1.0, 0.5, 0.1, 1.2, -0.4, 0.0, 0.7])
    a = log_prob_of_sets(logits, SENTENCE_OF, ITEM_OF, [(1, 2, 6), (6, 1, 2), (2, 6, 1)], 3)[0]
    assert a.tolist() == pytest.approx([a[0].item()] * 3)
    padded = log_prob_of_sets([*logits, NEVER, NEVER], [*SENTENCE_OF, -1, -1], [*ITEM_OF, -1, -1], [(1, 2, 6)], 3)[0]
    assert padded.item() == pytest.approx(a[0].item())


def test_extreme_logits_keep_probability_and_gradient_finite():
    logits = torch.tensor([[-60.0, 80.0, 0.0, 70.0, 0.0, 0.0, 0.0, -90.0]], requires_grad=True)
    sets = torch.tensor([[1, 6, 5]])
    log_prob, entropy = set_log_prob(logits, torch.tensor([SENTENCE_OF]), torch.tensor([ITEM_OF]), sets)
    (log_prob.sum() + entropy.sum()).backward()
    assert torch.isfinite(log_prob).all()
    assert torch.isfinite(logits.grad).all()


def test_frequencies_of_draws_follow_the_set_probability():
    logits = np.array([[0.3, -1.0, 0.5, 0.1, 1.2, -0.4, 0.0, 0.7]], np.float32)
    n, limit = 20_000, 2
    sentence_of, item_of = np.tile(SENTENCE_OF, (n, 1)), np.tile(ITEM_OF, (n, 1))
    chosen = draw(np.tile(logits, (n, 1)), sentence_of, item_of, limit, [np.random.default_rng(0)] * n)
    drawn = {}
    for row in chosen:
        key = tuple(sorted(int(c) for c in row if c > 0))
        drawn[key] = drawn.get(key, 0) + 1
    sets = legal_sets(SENTENCE_OF, ITEM_OF, limit)
    assert set(drawn) <= set(sets)
    expected = log_prob_of_sets(logits[0], SENTENCE_OF, ITEM_OF, sets, limit)[0].exp().tolist()
    for chosen_set, probability in zip(sets, expected, strict=True):
        error = 5 * np.sqrt(probability * (1 - probability) / n)
        assert drawn.get(chosen_set, 0) / n == pytest.approx(probability, abs=error + 1e-4)


def test_the_greedy_draw_takes_the_best_candidate_left():
    logits = np.array([[0.0, 3.0, 1.0, 4.0, 2.0, 0.5, 9.0, -1.0]], np.float32)
    # DELETE 0 first (blocks UPDATE (0,0)), then INSERT 0 (blocks UPDATE (0,1)), then INSERT 1.
    assert draw(logits, np.array([SENTENCE_OF]), np.array([ITEM_OF]), 3, None).tolist() == [[6, 1, 2]]
    logits[0, 0] = 2.5
    assert draw(logits, np.array([SENTENCE_OF]), np.array([ITEM_OF]), 3, None).tolist() == [[6, 1, -1]]
