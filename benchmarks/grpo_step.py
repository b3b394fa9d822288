"""What one complete step of GRPO with a language model costs, beside TRL's GRPOTrainer.

On a CPU: process seconds on one thread of generation (exactly 64 tokens for each of 8 rows), log-probabilities, loss, backward and
optimiser, ours and TRL's in turns in one run, on copies of one random model (Qwen3, 4 layers, hidden 256), over the same prompts,
with the same reward. TRL runs as it is, on the CPU in float32, without gradient checkpointing; see `beside_trl` for its rows.

    python benchmarks/grpo_step.py
    python benchmarks/grpo_step.py --vocabulary 32768 --sizes 512+256 --repeats 3

On a GPU (``--device cuda``): tokens per second of generation and update, and the share of the chip's measured rate of matrix
multiplication that the model's arithmetic uses.

    python benchmarks/grpo_step.py --device cuda --hidden 2048 --layers 24 --vocabulary 151936 --dtype bfloat16
"""

from __future__ import annotations

import argparse
import statistics
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from grpo_step_gpu import measure_gpu
from grpo_step_parts import Case, Ours, beside_trl, make_model
from grpo_step_shares import shares
from harness import show, table_of, write

from agents.language_model import cpu_linear

PHASES = ("generation", "update")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--sizes", nargs="+", default=["512+256", "1024+128"], help="shared + distinct tokens of a prompt"
    )
    parser.add_argument("--vocabulary", type=int, default=2048)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument(
        "--dtype", default="float32", choices=("float32", "bfloat16"), help="of the weights; TRL: float32 alone"
    )
    parser.add_argument("--repeats", type=int, default=5, help="measured steps of each, after two to warm up")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=None, help="receives the numbers as JSON")
    parser.add_argument(
        "--plain-linear", action="store_true", help="our linear layers as PyTorch multiplies them, without oneDNN"
    )
    options = parser.parse_args()
    if options.plain_linear:
        cpu_linear.LEAST = sys.maxsize
    sizes = [tuple(map(int, size.split("+"))) for size in options.sizes]
    cases = [
        Case(shared, distinct, options.vocabulary, hidden=options.hidden, layers=options.layers, dtype=options.dtype)
        for shared, distinct in sizes
    ]
    if options.device != "cpu":
        results = [measure_gpu(case, options.device, options.repeats) for case in cases]
        show(table_of(results, GPU_COLUMNS, torch.cuda.get_device_name(options.device)))
        write(options.out, "grpo_step_gpu", results, torch=torch.__version__)
        return
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=FutureWarning)  # of libraries among themselves
    results = [measure(case, options.repeats) for case in cases]
    show(table_of(results, COLUMNS, f"CPU-seconds of one step, median (lowest to highest) of {options.repeats}"))
    show(table_of([row for result in results for row in result["shares"]], SHARES, "Where our time goes"))
    write(options.out, "grpo_step", results, torch=torch.__version__)


def measure(case: Case, repeats: int) -> dict[str, Any]:
    """One line of the table."""
    model = make_model(case)
    ours = Ours(case, model)
    steps = beside_trl(case, model, ours, repeats)
    found: dict[str, Any] = {"name": case.name, "steps": steps}
    for side in ("ours", "trl"):
        found[side] = spread([sum(step[side].values()) for step in steps])
        for phase in PHASES:
            found[f"{side}_{phase}"] = statistics.median(step[side][phase] for step in steps)
    ratios = [sum(step["trl"].values()) / sum(step["ours"].values()) for step in steps]
    found["ratio"] = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    found["shares"] = [{"name": case.name, **row} for row in shares(ours)]
    return found


def spread(values: Sequence[float]) -> str:
    """Median, lowest and highest."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


COLUMNS = {
    "prompts": "{name}", "ours": "{ours}", "TRL": "{trl}", "generation, ours": "{ours_generation:.2f}",
    "TRL's": "{trl_generation:.2f}", "update, ours": "{ours_update:.2f}", "TRL's ": "{trl_update:.2f}", "TRL / ours": "{ratio}",
}  # fmt: skip
SHARES = {"prompts": "{name}", "part": "{part}", "CPU-s": "{seconds:.3f}", "of the step": "{share:.0%}"}
GPU_COLUMNS = {
    "prompts": "{name}", "generated tokens/s": "{generation:,.0f}", "update, tokens/s": "{update:,.0f}",
    "utilisation, generation": "{generation_share:.1%}", "update": "{update_share:.1%}", "matrix rate, TFLOP/s": "{rate:.1f}",
}  # fmt: skip


if __name__ == "__main__":
    main()
