"""``memenvs train --agent lm`` and ``memenvs demo-lm``. Their docstrings are their ``--help``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from memenvs.errors import SettingsError
from trainers.lm_demo_settings import LMDemoSettings
from trainers.tokens.settings import TokenTrainSettings

Settings = Annotated[TokenTrainSettings, tyro.conf.arg(name="")]
Demo = Annotated[LMDemoSettings, tyro.conf.arg(name="")]


def train_lm(
    settings: Settings = TokenTrainSettings(),
    out: Path = Path("runs/train-lm"),
    resume: Literal["auto", "never"] = "never",
    workers: int = 0,
    ray: str | None = None,
) -> None:
    r"""Train a language model as memory manager: a warm start if you want one, then GRPO over its tokens.

    A model of a hub with adapters in half precision, a reader behind a server, data that memenvs data chunk-questions has written:
        memenvs train --agent lm --model Qwen/Qwen3-4B --reader http://127.0.0.1:8000/v1 --data path/to/train-questions.parquet \
            --streams 32 --updates 85 --mini-batch 32 --warm-up 4 --question-share 0.2 --k 20 --max-operations 6 \
            --max-item-tokens 128 --max-tokens 2048 --learning-rate 1e-5 --dtype bfloat16 --lora-rank 16 --batch 32 \
            --gradient-checkpointing --checkpoint-every 1

    All weights, in float32:
        memenvs train --agent lm --model path/to/model --learning-rate 1e-6

    A small model that first learns from a scripted manager to point at sentences:
        memenvs train --agent lm --model path/to/small --message sentences --warm-start scripted --learning-rate 3e-4

    A reader behind a server; its replies are kept in the run's folder:
        memenvs train --agent lm --model path/to/model --reader http://127.0.0.1:8000/v1#Qwen/Qwen3-32B --reader-concurrency 32

    Go on where a killed run stopped:
        memenvs train --agent lm --model path/to/model --resume auto

    Rollouts on eight workers of a Ray cluster, each with a GPU where this machine has one; adapters, so that little travels:
        memenvs train --agent lm --model path/to/model --lora-rank 16 --streams 8 --batch 8 --workers 8 --ray auto

    Args:
        settings: the run.
        out: folder for settings.json, metrics.csv, TensorBoard events, checkpoints (the model in each, as transformers loads it),
            result.json; taught/ (the model after a warm start), best/ (the best one on held-out streams), start.json (held-out
            scores before the first update), timing.csv (wall clock) and rollouts.jsonl (messages of each update's first group).
        resume: "auto" goes on from the newest checkpoint in the folder, if there is one.
        workers: Ray processes that play the rollouts, 0 for this one; at most one for the streams that fit into a batch. Each holds
            the model, and gets the weights that training moves once per update.
        ray: the Ray cluster that the workers belong to: auto, or its head's host:port. This machine, if not given.
    """
    from rich.console import Console

    from trainers import reading_costs
    from trainers.progress import bars as progress_bars
    from trainers.runs import read_result
    from trainers.statistics import bootstrap

    _check_extra()
    from trainers.tokens.grpo import train as run
    from trainers.workers import Workers

    with progress_bars() as bars:
        shown: dict[str, Any] = {}

        def progress(stage: str, done: float, total: int, line: dict[str, float]) -> None:
            if stage not in shown:
                shown[stage] = bars.add_task(stage, total=total)
            elif bars.tasks[shown[stage]].finished:  # another evaluation
                bars.reset(shown[stage], total=total)
            told = [f"{name} {line[key]:.3f}" for name, key in _TOLD if key in line]
            bars.update(shown[stage], completed=done, description="  ".join([stage, *told]))

        _, scores = run(settings, out, resume=resume == "auto", progress=progress, workers=Workers(workers, ray))
    interval = bootstrap([score.r_global for score in scores])
    Console().print(
        f"held-out r_global {interval.mean:.3f} [{interval.low:.3f}, {interval.high:.3f}] over {len(scores)} streams "
        f"(data: {settings.env.source}); written to {out}"
    )
    if asked := reading_costs.line(read_result(out)["cost"]):
        Console().print(asked)


_TOLD = (("loss", "warm/loss"), ("train", "train/r_global"), ("held-out", "heldout/r_global"))
"""Numbers beside the bars."""


def demo_lm(settings: Demo = LMDemoSettings()) -> None:
    """Make a small language model, teach it by a scripted manager, train it with GRPO, and show what GRPO added.

    From nothing, on a CPU; what is finished is kept, so that the same command goes on after a kill:
        memenvs demo-lm

    A look at the whole path in a minute or two:
        memenvs demo-lm --seeds 1 --updates 4 --warm-streams 20 --streams 8 --out runs/quick-lm

    Args:
        settings: its size.
    """
    _check_extra()
    from trainers.lm_demo import main

    main(settings)


def _check_extra() -> None:
    """See that language models can be trained here."""
    try:
        import transformers  # noqa: F401
    except ModuleNotFoundError as error:
        raise SettingsError(
            "training a language model needs torch and transformers: pip install -e '.[train,lm]'"
        ) from error
