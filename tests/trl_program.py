"""What `accelerate launch` runs in tests/test_trl_processes.py: the adapter on a small model, told as JSON by each process.

Messages are drawn by numbers that depend on the rollout and the step alone, so that one process draws what two do.
"""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from accelerate.utils import gather_object
from trl import GRPOConfig

from agents.language_model.sampling import sample
from agents.language_model.small import SmallSettings, make_small
from memenvs.streams import load
from memenvs.testing import FailingReader
from trainers.settings import EnvSettings
from trainers.tokens.settings import LanguageModelSettings, TokenTrainSettings
from trainers.trl_adapter import MemoryGRPOTrainer


def small_settings(folder):
    """Settings with a model of random weights, made in ``folder`` if it is not there."""
    own = LanguageModelSettings(message="sentences", task="", memory_tokens=48, max_tokens=12)
    if not (Path(folder) / "config.json").is_file():
        data = load("builtin", "train", T=4)
        size = SmallSettings(hidden=32, layers=2, vocabulary=400)
        make_small(folder, [data[i] for i in range(4)], own.prompt(EnvSettings(T=4)), size)
    own = replace(own, model=str(folder))
    return TokenTrainSettings(env=EnvSettings(T=4), reward="finemem-cited", updates=2, group_size=4, lm=own)


def arguments(folder, **given):
    """TRL's settings on a CPU."""
    return GRPOConfig(**{
        "output_dir": str(folder), "use_cpu": True, "bf16": False, "num_generations": 4, "per_device_train_batch_size": 4,
        "report_to": [], "save_strategy": "no", "logging_steps": 1, "disable_tqdm": True,
    } | given)  # fmt: skip


def main(model: str, out: str, case: str, rollouts: str, reader: str = "extractive") -> None:
    """Train.

    Args:
        model: folder of the model.
        out: folder for the results.
        case: "equal"; "unequal", streams of 4 and 6 steps; "failing", no rollout of the first process is read.
        rollouts: of each process.
        reader: who answers.
    """
    torch.set_num_threads(1)
    settings = small_settings(model)
    streams, group = (2, 2) if case == "unequal" else (1, 4)
    own = replace(settings.lm, micro_batch=3)
    settings = replace(settings, learning_rate=0.5, streams=streams, group_size=group, eval_streams=3, lm=own)
    settings = replace(settings, env=replace(settings.env, reader=reader))
    args = arguments(
        out, num_generations=group, per_device_train_batch_size=int(rollouts), optim="sgd", lr_scheduler_type="constant"
    )

    class Told(MemoryGRPOTrainer):
        def _generate_single_turn(self, prompts, *rest):
            if self.joint:
                counts.append(gather_object([len(prompts)]))  # FSDP, ZeRO-3 and vLLM wait for each other, too
            own, self.calls = self.accelerator.process_index * int(rollouts), self.calls + 1
            rngs = [np.random.default_rng([own + i, self.calls]) for i in range(len(prompts))]
            uniforms = np.stack([rng.random(12) for rng in rngs])
            drawn = sample(self.policy.lm, [tuple(prompt) for prompt in prompts], self.policy.sampling, uniforms)
            return [list(one.tokens) for one in drawn], None

        def play(self, seeds, first):
            self.calls = 0
            rows, played = super().play(seeds, first)
            kept.append([[asdict(row) for row in own] for own in rows])
            return rows, played

        def advantages(self, played):
            found = super().advantages(played)
            told.append(
                {"played": [asdict(one) for one in played], "advantages": {n: list(row) for n, row in found.items()}}
            )
            # Random messages are often worth the same; the weights are to move in any case.
            return {
                n: tuple(1.0 + n + t if value == value else value for t, value in enumerate(row))
                for n, row in found.items()
            }

    kept: list = []
    told: list = []
    counts: list = []
    trainer = Told(settings, args)
    process = trainer.accelerator.process_index
    for i, env in enumerate(trainer.memory_envs.training):
        if case == "failing" and process == 0:
            env.unwrapped.reader = FailingReader()
        if case == "unequal" and (process * int(rollouts) + i) // 2 == 1:
            lengthen(env)
    trainer.joint = case == "unequal" and trainer.accelerator.num_processes > 1
    before = flat(trainer.model)
    trainer.train()
    result = {
        "told": told, "rows": kept, "counts": counts, "log": trainer.state.log_history,
        "moved": (flat(trainer.model) - before).tolist(), "processes": trainer.accelerator.num_processes,
    }  # fmt: skip
    if case == "equal":
        result["evaluated"] = trainer.evaluate()
    Path(out).mkdir(parents=True, exist_ok=True)
    (Path(out) / f"process{process}.json").write_text(json.dumps(result))


def flat(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()]).double()


def lengthen(env):
    """Play data of streams that are longer."""
    env.unwrapped.dataset = load("builtin", "train", T=6)


if __name__ == "__main__":
    main(*sys.argv[1:])
