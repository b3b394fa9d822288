"""Stable-Baselines3 on the flat environment: what 640 episodes teach, with and without per-step rewards.

python benchmarks/sb3_flat.py --episodes 640 --seeds 3
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sb3_contrib import MaskablePPO
from stable_baselines3 import PPO

import memenvs
from agents.stable_baselines import StepRewardsCallback
from rewards import FineMemReward
from trainers.statistics import bootstrap

ID = "FineMem-Memalpha-Flat-v0"
T = 20


def heldout(choose: Any, streams: int, max_operations: int | None) -> list[float]:
    """r_global of held-out streams under ``choose(observation, mask)``."""
    env = gym.make(ID, split="test", chunk_questions=0, max_operations=max_operations)
    scores = []
    for index in range(streams):
        observation, info = env.reset(seed=0, options={"stream": index})
        done = False
        while not done:
            observation, _, done, _, info = env.step(choose(observation, info["action_mask"]))
        scores.append(info["r_global"])
    return scores


def train(
    algorithm: Any, per_step: bool, seed: int, episodes: int, streams: int, max_operations: int | None
) -> list[float]:
    """Train and play the held-out streams."""
    env = FineMemReward(gym.make(ID, max_operations=max_operations), evidence="cited", scale="mean")
    model = algorithm(
        "MlpPolicy", env, n_steps=16 * T, batch_size=80, gamma=0.0 if per_step else 1.0, gae_lambda=1.0, learning_rate=1e-3,
        policy_kwargs={"net_arch": [128]}, seed=seed, device="cpu",
    )  # fmt: skip
    model.learn(episodes * T, callback=StepRewardsCallback() if per_step else None)
    masked = algorithm is MaskablePPO

    def choose(observation: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return model.predict(observation, deterministic=True, **({"action_masks": mask} if masked else {}))[0]

    return heldout(choose, streams, max_operations)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=640, help="training episodes of T = 20 steps")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--streams", type=int, default=60, help="held-out streams")
    parser.add_argument("--max-operations", type=int, help="writes per chunk; no quota if not given")
    parser.add_argument("--out", type=Path, help="write the numbers as JSON")
    options = parser.parse_args()
    torch.set_num_threads(1)
    size = (options.episodes, options.streams, options.max_operations)
    arms = [
        (f"{algorithm.__name__}, {'per-step rewards' if per_step else 'rewards as paid'}", algorithm, per_step)
        for algorithm in (PPO, MaskablePPO)
        for per_step in (True, False)
    ]
    rng = np.random.default_rng(0)

    def chance(_: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return np.array([rng.choice(3, p=row / row.sum()) for row in mask.reshape(-1, 3)])

    def insert_all(_: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return mask.reshape(-1, 3)[:, 1].astype(int)

    rows = {
        name: [heldout(choose, *size[1:])] for name, choose in (("random choices", chance), ("insert all", insert_all))
    }
    jobs = [(name, algorithm, per_step, seed) for name, algorithm, per_step in arms for seed in range(options.seeds)]
    for name, algorithm, per_step, seed in track(jobs, "training"):
        rows.setdefault(name, []).append(train(algorithm, per_step, seed, *size))
    table = Table(title=f"{ID}: {options.episodes} episodes, {options.seeds} seeds, {options.streams} held-out streams")
    table.add_column("agent")
    table.add_column("r_global [95 %]", justify="right")
    found = {}
    for name, scores in rows.items():
        found[name] = interval = bootstrap(scores)
        table.add_row(name, f"{interval.mean:.3f} [{interval.low:.3f}, {interval.high:.3f}]")
    Console().print(table)
    if options.out:
        facts = {
            "memenvs": memenvs.__version__,
            "data": "builtin",
            **{k: v for k, v in vars(options).items() if k != "out"},
        }
        options.out.write_text(json.dumps(facts | {"rows": {k: v._asdict() for k, v in found.items()}}, indent=1))


if __name__ == "__main__":
    main()
