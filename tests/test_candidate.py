"""The candidate policy: determinism, gradients, limits, any text, checkpoints."""

import copy
import json
import pickle
from dataclasses import asdict, replace

import numpy as np
import pytest
import safetensors.torch
import torch

from agents.base import Agent, View, make_agent
from agents.candidate import CandidateAgent, CandidatePolicy, CandidateSettings, load_policy
from agents.candidate_text import TextTable
from memenvs.errors import DataError, SettingsError
from memenvs.memory.bank import MemoryBank, MemoryItem, MemoryLimits
from memenvs.memory.operations import parse_operations

CHUNK = "Anna lives in Paris. Ben likes tea.\nCarla now works at the harbour. The weather is nice."
SMALL = CandidateSettings(buckets=64, dim=8, hidden=16, min_similarity=-1.0)


def items(count, step=0):
    return tuple(MemoryItem(f"{step}.{n}", f"Anna lives in town {n}.", step, step, 6) for n in range(count))


def trained(policy, seed=0):
    """The policy with every weight moved, so that no logit is a prior."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return policy


def test_evaluate_repeats_the_log_probability_of_act():
    policy = trained(CandidatePolicy(SMALL))
    views = [View(CHUNK, items(n), 3, 20) for n in (0, 1, 5, 9)] + [View("", (), 0, 20), View("One.", items(2), 19, 20)]
    decisions = policy.act(views, [np.random.default_rng(i) for i in range(len(views))])
    log_probs, entropies = policy.evaluate(decisions)
    assert log_probs.tolist() == pytest.approx([d.log_prob for d in decisions], abs=1e-5)
    assert entropies.tolist() == pytest.approx([d.entropy for d in decisions], abs=1e-5)
    assert decisions[4].message == '[{"op": "SKIP"}]'
    assert decisions[4].log_prob == pytest.approx(0.0, abs=1e-6)
    with torch.no_grad():
        policy.bias[1] += 1.0
    assert policy.evaluate(decisions)[0][0].item() != pytest.approx(decisions[0].log_prob, abs=1e-3)


def test_a_rollout_does_not_depend_on_its_batch_or_process():
    def decide(views):
        return trained(CandidatePolicy(SMALL)).act(views, [np.random.default_rng(7) for _ in views])

    view = View(CHUNK, items(5), 3, 20)
    alone = decide([view])[0]
    together = decide([View("Another chunk. With two sentences.", items(9), 1, 4), view])[1]
    assert alone.message == together.message
    assert alone.log_prob == pytest.approx(together.log_prob, abs=1e-5)
    assert alone.chosen.tolist() == decide([view])[0].chosen.tolist()


def test_gradients_reach_every_weight_and_are_finite():
    policy = trained(CandidatePolicy(SMALL))
    views = [View(CHUNK, items(6), 3, 20)] * 8
    decisions = policy.act(views, [np.random.default_rng(i) for i in range(8)])
    log_probs, entropies = policy.evaluate(decisions)
    ((log_probs * torch.linspace(-1, 1, 8)).sum() + 0.01 * entropies.sum()).backward()
    for name, parameter in policy.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_repeated_updates_make_a_rewarded_operation_likely():
    policy = CandidatePolicy(SMALL)
    optimizer = torch.optim.Adam(policy.parameters(), 1e-2)
    views = [View(CHUNK, items(3), 3, 20)] * 16
    rngs = [np.random.default_rng(i) for i in range(16)]

    def share(decisions):
        return np.mean(["Ben likes tea" in d.message and "weather" not in d.message for d in decisions])

    before = share(policy.act(views, rngs))
    for _ in range(60):
        decisions = policy.act(views, rngs)
        rewards = torch.tensor([("Ben likes tea" in d.message) - 1.0 * ("weather" in d.message) for d in decisions])
        loss = -(policy.evaluate(decisions)[0] * (rewards - rewards.mean())).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert share(policy.act(views, rngs)) > max(0.8, before)


def test_messages_are_valid_for_a_bank_with_the_same_limits():
    policy = trained(
        CandidatePolicy(CandidateSettings(buckets=64, dim=8, hidden=16, max_operations=4, max_item_tokens=5))
    )
    bank = MemoryBank(MemoryLimits(max_operations=4, max_item_tokens=5))
    rng = np.random.default_rng(0)
    kinds = set()
    for step in range(30):
        decision = policy.act([View(CHUNK, bank.items, step, 30)], [rng])[0]
        report = bank.apply(parse_operations(decision.message).operations)
        assert all(outcome.valid for outcome in report.outcomes), report
        kinds |= {outcome.op for outcome in report.outcomes}
        order = [("DELETE", "UPDATE", "INSERT", "SKIP").index(outcome.op) for outcome in report.outcomes]
        assert order == sorted(order)
    assert {"INSERT", "UPDATE", "DELETE"} <= kinds


def test_initial_policy_depends_on_the_priors_alone():
    priors = {"min_similarity": -1.0, "stop_prior": 0.0, "update_prior": 0.0, "update_slope": 0.0, "delete_prior": 0.0}
    policy = CandidatePolicy(CandidateSettings(max_operations=1, **priors))
    views = [View(CHUNK, items(40), 0, 20)]
    counts = {"SKIP": 0, "INSERT": 0, "UPDATE": 0, "DELETE": 0}
    rng = [np.random.default_rng(0)]
    for _ in range(700):
        counts[json.loads(policy.act(views, rng)[0].message)[0]["op"]] += 1
    # STOP 1, four INSERTs, two UPDATEs for each of the four sentences, all DELETEs together 1.
    for op, weight in (("SKIP", 1), ("INSERT", 4), ("UPDATE", 8), ("DELETE", 1)):
        assert counts[op] / 700 == pytest.approx(weight / 14, abs=0.06), op


def test_large_memories_and_long_chunks_are_limited():
    policy = CandidatePolicy(replace(SMALL, max_sentences=50, max_delete=10))
    memory = tuple(MemoryItem(f"{n}.0", f"Fact number {n}.", 400 - n, n, 4) for n in range(400))
    chunk = " ".join(f"Sentence {n} is about Zoë, 東京 and 🎉." for n in range(200))
    candidates = policy.act([View(chunk, memory, 400, 401)], [np.random.default_rng(0)])[0].candidates
    assert candidates.sizes == (50, 100, 10)
    assert candidates.deletes.tolist() == list(range(390, 400))


def test_update_targets_are_the_most_similar_items():
    memory = (
        MemoryItem("0.0", "Ben likes coffee.", 0, 0, 4),
        MemoryItem("0.1", "Carla works at the bakery.", 0, 0, 6),
        MemoryItem("0.2", "The bridge was built long ago.", 0, 0, 7),
    )
    candidates = CandidatePolicy(SMALL).act([View(CHUNK, memory, 1, 4)], greedy=True)[0].candidates
    best = {int(s): int(i) for s, i in reversed(candidates.updates.tolist())}
    assert (best[1], best[2]) == (0, 1)
    # Only "Ben likes tea." and "Carla now works ..." are that similar to an item.
    near = (
        CandidatePolicy(replace(SMALL, min_similarity=0.4)).act([View(CHUNK, memory, 1, 4)], greedy=True)[0].candidates
    )
    assert near.updates.tolist() == [[1, 0], [2, 1]]
    assert near.update_features.shape == (2, candidates.update_features.shape[1])


@pytest.mark.parametrize("chunk", ["", "   ", "no full stop", "a\ud800b", "Ünïcödé! 東京? ok.", "x" * 8000, ". . ."])
def test_any_text_gives_a_message(chunk):
    decision = CandidatePolicy(SMALL).act([View(chunk, items(2), 0, 1)], [np.random.default_rng(0)])[0]
    assert parse_operations(decision.message).error is None


def test_hashes_are_the_same_in_every_process():
    table = TextTable(4096)
    ids, weights, _ = table.bags(np.array(table.rows(["Paris!"])))
    assert ids.tolist() == [37, 3231, 2805, 3020, 1029, 3938]
    assert weights.sum() == pytest.approx(1.0)


def test_a_full_table_starts_afresh(monkeypatch):
    monkeypatch.setattr("agents.candidate_text._MAX_TEXTS", 5)
    policy = trained(CandidatePolicy(SMALL))
    view = View(CHUNK, items(5), 3, 20)
    first = policy.act([view], [np.random.default_rng(1)])
    for n in range(5):
        policy.act([View(f"Other text {n}. And more {n}.", items(3), 0, 20)], [np.random.default_rng(1)])
    assert policy.evaluate(first)[0].item() == pytest.approx(first[0].log_prob, abs=1e-5)


def test_decisions_can_be_evaluated_by_another_policy_and_survive_pickling():
    view = View(CHUNK, items(5), 3, 20)
    decisions = trained(CandidatePolicy(SMALL)).act([view], [np.random.default_rng(1)])
    for moved in (decisions, pickle.loads(pickle.dumps(decisions)), copy.deepcopy(decisions)):
        other = trained(CandidatePolicy(SMALL))
        other.act([View("Texts that fill the rows. In another order.", items(3, 1), 0, 20)], greedy=True)
        assert other.evaluate(moved)[0].item() == pytest.approx(decisions[0].log_prob, abs=1e-5)


def test_agent_and_checkpoint(tmp_path):
    policy = trained(CandidatePolicy(SMALL))
    safetensors.torch.save_file(policy.state_dict(), tmp_path / "policy.safetensors")
    (tmp_path / "state.json").write_text(json.dumps({"policy": asdict(policy.settings)}))
    assert load_policy(tmp_path).settings == policy.settings
    observation, info = {"chunk": CHUNK, "memory": "", "step": np.int64(3)}, {"memory": items(5), "T": 20}
    agents = [
        CandidateAgent(policy, greedy=False),
        make_agent("candidate", policy=tmp_path, greedy=False),
    ]
    messages = []
    for agent in agents:
        assert isinstance(agent, Agent)
        agent.reset(5)
        messages.append([agent.act(observation, info) for _ in range(5)])
    assert messages[0] == messages[1]
    assert len(set(messages[0])) > 1
    greedy = CandidateAgent(policy)
    assert len({greedy.act(observation, info) for _ in range(5)}) == 1


def test_errors_say_what_is_wrong(tmp_path):
    with pytest.raises(SettingsError, match="max_operations of 1 to 6"):
        CandidateSettings(max_operations=7)
    with pytest.raises(SettingsError, match="one generator per view"):
        CandidatePolicy(SMALL).act([View(CHUNK, (), 0, 1)])
    with pytest.raises(DataError, match="no checkpoint"):
        load_policy(tmp_path / "missing")
    with pytest.raises(SettingsError, match="own settings"):
        CandidateAgent(CandidatePolicy(SMALL), dim=3)
