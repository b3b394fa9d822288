"""What `accelerate launch` runs in tests/test_trl_adapter.py: a few steps of the adapter, told as JSON by each process."""

import json
import sys
from pathlib import Path

import torch
from trl import GRPOConfig

from trainers.settings import EnvSettings
from trainers.tokens.settings import LanguageModelSettings, TokenTrainSettings
from trainers.trl_adapter import MemoryGRPOTrainer


def main(model: str, out: str) -> None:
    torch.set_num_threads(1)
    own = LanguageModelSettings(model=model, message="sentences", task="", memory_tokens=48, max_tokens=12)
    settings = TokenTrainSettings(env=EnvSettings(T=4), reward="finemem-cited", updates=2, group_size=4, lm=own)
    args = GRPOConfig(
        output_dir=out, use_cpu=True, bf16=False, num_generations=4, per_device_train_batch_size=2, max_steps=2,
        learning_rate=1e-3, report_to=[], save_strategy="no", logging_steps=1, disable_tqdm=True, loss_type="dapo",
    )  # fmt: skip

    class Told(MemoryGRPOTrainer):
        def advantages(self, played):
            found = super().advantages(played)
            told.append(
                {
                    "rewards": {one.number: [one.stream, *one.rewards] for one in played},
                    "advantages": {number: list(row) for number, row in found.items()},
                }
            )
            return found

    told: list = []
    trainer = Told(settings, args)
    trainer.train()
    weights = torch.cat([parameter.detach().flatten() for parameter in trainer.model.parameters()])
    result = {"told": told, "weights": float(weights.double().sum()), "log": trainer.state.log_history}
    Path(out).mkdir(parents=True, exist_ok=True)
    (Path(out) / f"process{trainer.accelerator.process_index}.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
