import json
import os
from contextlib import contextmanager

import pytest
import torch

from memenvs.errors import DataError, MemenvsError
from trainers import checkpoint


def small(seed=0):
    torch.manual_seed(seed)
    policy = torch.nn.Linear(3, 2)
    return policy, torch.optim.Adam(policy.parameters(), lr=0.1)


def step(policy, optimiser, seed):
    torch.manual_seed(seed)
    optimiser.zero_grad()
    (policy(torch.randn(5, 3)) ** 2).sum().backward()
    optimiser.step()


def test_a_restored_run_goes_on_with_the_same_numbers(tmp_path):
    policy, optimiser = small()
    for seed in range(3):
        step(policy, optimiser, seed)
    saved = checkpoint.save(tmp_path, 3, {"policy": policy, "optimiser": optimiser}, {"fingerprint": "x"})
    step(policy, optimiser, 9)

    other, other_optimiser = small(seed=5)
    checkpoint.load(saved, {"policy": other, "optimiser": other_optimiser})
    step(other, other_optimiser, 9)
    assert torch.equal(policy.weight, other.weight)
    assert torch.equal(policy.bias, other.bias)


def test_only_the_newest_complete_checkpoint_stays(tmp_path):
    policy, optimiser = small()
    step(policy, optimiser, 0)
    checkpoint.save(tmp_path, 2, {"policy": policy, "optimiser": optimiser}, {})
    (tmp_path / ".checkpoint-000003.123").mkdir()  # what a kill in mid-write leaves
    (tmp_path / "checkpoint-000009").mkdir()  # a folder without state is none
    assert checkpoint.latest(tmp_path).name == "checkpoint-000002"
    checkpoint.save(tmp_path, 10, {"policy": policy, "optimiser": optimiser}, {})
    assert sorted(os.listdir(tmp_path)) == ["checkpoint-000010"]
    assert checkpoint.read_state(checkpoint.latest(tmp_path)) == {"update": 10}


@pytest.fixture
def little_room():
    """No file may have more than 4 kB, as if the disk were full."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    @contextmanager
    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited


def write_text(draft):
    (draft / "tokenizer.json").write_text("x" * 5000)


def write_tokenizer(draft):
    pytest.importorskip("tokenizers")
    from small_models import small_tokenizer

    small_tokenizer().save_pretrained(draft)


def write_nothing(draft):
    """There is enough else to write."""


@pytest.mark.parametrize(
    ("width", "write"),
    [(64, write_nothing), (3, write_text), (3, write_tokenizer)],
    ids=["tensors", "text", "tokenizer"],
)
def test_a_full_disk_leaves_what_was_there(tmp_path, little_room, width, write):
    checkpoint.save(tmp_path, 1, {}, {"fingerprint": "x"})
    part = {"policy": torch.nn.Linear(width, width)}
    for _ in range(2):
        with (
            little_room(),
            pytest.raises(MemenvsError, match=r"checkpoint-000002.* could not be written.*--resume auto"),
        ):
            checkpoint.save(tmp_path, 2, part, {}, write)
        assert os.listdir(tmp_path) == ["checkpoint-000001"]
    checkpoint.save(tmp_path, 2, part, {}, write)
    assert os.listdir(tmp_path) == ["checkpoint-000002"]
    with little_room(), pytest.raises(MemenvsError, match=r"best.* could not be written"):
        checkpoint.save_policy(tmp_path, checkpoint.BEST, {}, write_text)
    assert os.listdir(tmp_path) == ["checkpoint-000002"]


def test_what_killed_processes_left_goes_before_more_is_written(tmp_path):
    (tmp_path / ".checkpoint-000003.123").mkdir()
    seen = []
    checkpoint.save(tmp_path, 3, {}, {}, lambda draft: seen.append(os.listdir(tmp_path)))
    assert seen == [[f".checkpoint-000003.{os.getpid()}"]]


def test_there_is_no_pickle_in_a_checkpoint(tmp_path):
    policy, optimiser = small()
    step(policy, optimiser, 0)
    saved = checkpoint.save(tmp_path, 1, {"policy": policy, "optimiser": optimiser}, {"a": 1})
    assert sorted(p.name for p in saved.iterdir()) == ["optimiser.safetensors", "policy.safetensors", "state.json"]
    assert json.loads((saved / "state.json").read_text()) == {"a": 1, "update": 1}


def test_faults_are_named(tmp_path):
    assert checkpoint.latest(tmp_path / "none") is None
    with pytest.raises(DataError, match="not a checkpoint"):
        checkpoint.read_state(tmp_path)
    policy, optimiser = small()
    step(policy, optimiser, 0)
    saved = checkpoint.save(tmp_path, 1, {"policy": policy, "optimiser": optimiser}, {})
    with pytest.raises(DataError, match="do not fit"):
        checkpoint.load(saved, {"policy": torch.nn.Linear(4, 2)})


def test_a_run_and_a_checkpoint_are_both_found(tmp_path):
    policy, optimiser = small()
    step(policy, optimiser, 0)
    saved = checkpoint.save(tmp_path, 1, {"policy": policy, "optimiser": optimiser}, {})
    assert checkpoint.find(saved) == checkpoint.find(tmp_path) == saved
    with pytest.raises(DataError, match="holds no checkpoint"):
        checkpoint.find(tmp_path / "elsewhere")
