"""What the log-probabilities of given tokens keep in memory: no table of tokens times words."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from trainers.tokens.selected import CHUNK, selected_log_probs

TOKENS, WORDS, HIDDEN = 5 * CHUNK + 7, 1009, 8


class Tables(TorchDispatchMode):
    """Sizes of tensors that are made, and the most bytes of chunk tables that are alive at once."""

    def __init__(self):
        super().__init__()
        self.largest, self.most = 0, 0
        self._alive = WeakIdKeyDictionary()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self.largest = max(self.largest, tensor.numel())
                if tensor.numel() > CHUNK * WORDS // 2:
                    storage = tensor.untyped_storage()
                    self._alive[storage] = storage.nbytes()
        self.most = max(self.most, sum({s.data_ptr(): n for s, n in self._alive.items()}.values()))
        return out


def inputs(dtype, head):
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(TOKENS, HIDDEN, generator=generator).to(dtype).requires_grad_()
    weight = torch.randn(WORDS, HIDDEN, generator=generator).to(dtype).requires_grad_(head)
    return hidden, weight, torch.randint(WORDS, (TOKENS,), generator=generator)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("head", [True, False])
def test_nothing_of_the_size_of_a_table_is_kept_for_the_gradient(dtype, head):
    hidden, weight, targets = inputs(dtype, head)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        selected_log_probs(hidden, weight, targets, 0.7)
    assert sorted(tuple(t.shape) for t in kept) == sorted([(TOKENS, HIDDEN), (WORDS, HIDDEN), (TOKENS,), (TOKENS,)])
    assert all(t.untyped_storage().data_ptr() in {x.untyped_storage().data_ptr() for x in (hidden, weight)}
               for t in kept if t.dim() == 2)  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("head", [True, False])
def test_no_more_than_two_tables_of_a_chunk_are_alive_at_once(dtype, head):
    hidden, weight, targets = inputs(dtype, head)
    for work in ("forward", "backward"):
        with Tables() as tables:
            if work == "forward":
                found = selected_log_probs(hidden, weight, targets, 0.7)
            else:
                found.sum().backward()
        assert tables.largest == CHUNK * WORDS, work
        assert tables.most <= 2 * CHUNK * WORDS * 4, work


def test_half_precision_weights_have_a_softmax_in_single_precision():
    hidden, weight, targets = inputs(torch.bfloat16, True)
    found = selected_log_probs(hidden, weight, targets, 0.7)
    # The logits are those of the model in its own type, and nothing is rounded to it after them.
    logits = torch.nn.functional.linear(hidden, weight).float() / 0.7
    wanted = logits.log_softmax(-1).gather(1, targets[:, None])[:, 0]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-6)
    scale = torch.randn(TOKENS, generator=torch.Generator().manual_seed(1))
    got = torch.autograd.grad((found * scale).sum(), (hidden, weight))
    exact = [x.detach().double().requires_grad_() for x in (hidden, weight)]
    table = (torch.nn.functional.linear(*exact) / 0.7).log_softmax(-1).gather(1, targets[:, None])[:, 0]
    for one, other in zip(got, torch.autograd.grad((table * scale).sum(), exact), strict=True):
        assert one.dtype == torch.bfloat16
        assert (one - other).norm() <= 0.02 * other.norm()
