"""What becomes of every setting in `trainers.trl_adapter`: served, or refused with the way out.

`TokenTrainSettings` says what is learnt and how the loss is made; TRL's GRPOConfig says how it is run (devices, batches, optimiser,
schedule, logs, saving). Where both know a setting, GRPOConfig's is left at its default, or says the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from functools import reduce
from typing import Any

from trl import GRPOConfig

from memenvs.errors import SettingsError
from rewards.credit.registry import find
from rewards.presets import CREDIT
from trainers.slots.choices import Slots
from trainers.tokens.settings import TokenTrainSettings
from trainers.update import check

SERVED: Mapping[str, str] = {
    **dict.fromkeys(("env", "reward", "scale", "predictor", "compression"), "the environments are those of memenvs train"),
    **dict.fromkeys(("eval_data", "eval_streams"), "read by MemoryGRPOTrainer.evaluate"),
    **dict.fromkeys(("updates", "streams", "pool", "slots.sampler"), "decide the data set: the streams of memenvs train"),
    "group_size": "equals num_generations",
    "seed": "TRL's seed, too",
    "learning_rate": "TRL's learning_rate; its schedule is lr_scheduler_type",
    "max_norm": "TRL's max_grad_norm",
    "slots": "see slots.*",
    "lm": "see lm.*",
    **dict.fromkeys(("slots.preset", "slots.judge", "slots.mix"), "its slots are served or refused one by one"),
    **dict.fromkeys(("slots.group", "slots.advantage"), "worked out as in memenvs train, over all processes"),
    **dict.fromkeys(("slots.gamma", "slots.alpha", "slots.omega", "slots.ddof", "slots.eps"), "numbers of group and advantage"),
    "slots.aggregation": "each row's weight, in its advantage",
    "slots.ratio": "loss_type and importance_sampling_level",
    **dict.fromkeys(("slots.clip_low", "slots.clip_high", "slots.cap"), "epsilon and epsilon_high"),
    "slots.regulariser": "none alone",
    **dict.fromkeys(("lm.model", "lm.dtype"), "loaded as by memenvs train, on the CPU; accelerate moves it"),
    **dict.fromkeys(("lm.message", "lm.task", "lm.memory_tokens", "lm.show"), "decide the prompt"),
    **dict.fromkeys(("lm.chat_template", "lm.system", "lm.thinking"), "decide the prompt; chat_template_kwargs is not read"),
    "lm.max_tokens": "max_completion_length",
    **dict.fromkeys(("lm.temperature", "lm.top_p"), "TRL's"),
    "lm.batch": "prompts of a process that are sampled together",
    "lm.micro_batch": "rows of a process that are forwarded together",
    "lm.gradient_checkpointing": "TRL's, which is on unless its settings switch it off",
    "lm.lora_rank": "the adapters of memenvs train; for others pass peft_config",
}  # fmt: skip
"""Field -> what it becomes."""
_NO_REGULARISER = "the rows carry no log-probabilities of a reference; train with memenvs train --agent lm"
_NO_WARM_START = (
    "there is no warm start here; run memenvs train --agent lm --updates 1 first, and name its checkpoint as the model"
)
REFUSED: Mapping[str, str] = {
    "epochs": "the rows carry no log-probabilities of when they were drawn; one pass it is, or memenvs train --agent lm",
    "mini_batch": "an update is one step here; memenvs train --agent lm takes several",
    "warm_up": "say it to TRL: GRPOConfig(lr_scheduler_type='constant_with_warmup', warmup_steps=...)",
    "entropy": "the entropy bonus is the candidate policy's",
    "judge_model": "the judge is the scorer",
    "eval_every": "say it to TRL: GRPOConfig(eval_strategy='steps', eval_steps=...)",
    "final_streams": "call trainer.evaluate(streams) at the end",
    "eval_drawn": "MemoryGRPOTrainer.evaluate draws its messages",
    "checkpoint_every": "say it to TRL: GRPOConfig(save_steps=...)",
    "keep": "say it to TRL: GRPOConfig(save_total_limit=...)",
    **dict.fromkeys(("slots.beta", "slots.reset_every", "slots.reset_above"), _NO_REGULARISER),
    "slots.lam": "it is GAE's, which needs a critic; take gamma",
    "lm.cut_off": "every row is trained; memenvs train --agent lm leaves those out that were cut off",
    "lm.overlong_buffer": "rewards are paid by the environments, which see no tokens; memenvs train --agent lm pays it",
    "lm.device": "accelerate places the model: accelerate launch --gpu_ids, or CUDA_VISIBLE_DEVICES",
    **{
        f"lm.{name}": _NO_WARM_START
        for name in ("warm_start", "warm_streams", "warm_epochs", "warm_rate", "warm_batch")
    },
}
"""Field -> why only its default is taken, and the way out."""
SLOTS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "judge": (("scorer",), "other judges read whole records, which the processes do not tell each other"),
    "mix": (("sum",), "other mixes need the terms of a reward, which the processes do not tell each other"),
    "group": (("step", "trajectory", "pooled", "state"), "others need tags, trees or re-rollouts"),
    "advantage": (
        ("zscore", "centred", "published", "leave_one_out", "decoupled", "whiten", "turn_outcome", "alpha_mix"),
        "gae needs a critic",
    ),
    "ratio": (("ppo", "loop", "gspo", "cispo"), "TRL's loss has no proximal policy"),
    "regulariser": (("none",), _NO_REGULARISER),
    "sampler": (("uniform",), "TRL's data set is fixed before training; for 'many' set group_size and learning_rate"),
}
"""Slot -> the values that are served, and why not the others. Aggregations are served all."""
_OTHER_LOSS = "the loss is that of settings.slots, in micro-batches"
_OTHER_ROWS = "rows, rewards and advantages are not made by TRL"


def check_settings(settings: TokenTrainSettings) -> Slots:
    """The filled slots of settings that can be served.

    Raises:
        SettingsError: a setting that cannot; all of them are named.
    """
    slots = settings.slots.filled
    check(slots)
    plain = TokenTrainSettings()
    wrong = [
        f"{name}={value!r}: {reason}"
        for name, reason in REFUSED.items()
        if (value := _value(settings, name)) != _value(plain, name)
    ]
    for slot, (names, reason) in SLOTS.items():
        if (name := getattr(slots, slot)) not in names:
            wrong.append(f"the {slot} {name!r}: {reason}; it takes {', '.join(names)}")
    if slots.ratio == "cispo" and slots.cap != "absolute":
        wrong.append(
            "cap='range' of cispo: TRL's loss reads clip_high as the largest ratio; take cap='absolute' and clip_high=5"
        )
    if not settings.lm.model:
        wrong.append("lm.model is missing: name a folder or an id on a hub")
    if settings.credit.startswith(CREDIT) and "policy" in find(settings.credit.removeprefix(CREDIT)).needs:
        wrong.append(
            f"{settings.credit} plays on with the policy, which may be spread over processes; choose another reward"
        )
    if wrong:
        raise SettingsError(f"TRL's trainer cannot serve these settings: {'; '.join(wrong)}")
    return slots


def apply_to(args: GRPOConfig, settings: TokenTrainSettings, slots: Slots) -> None:
    """Write our settings into TRL's.

    Raises:
        SettingsError: TRL's say something else, or something that the adapter does not read.
    """
    own = settings.lm
    high = float(slots.clip_high or 0.0)
    ours: dict[str, tuple[Any, str]] = {
        "learning_rate": (settings.learning_rate, "set learning_rate in our settings"),
        "max_grad_norm": (settings.max_norm, "set max_norm in our settings"),
        "seed": (settings.seed, "set seed in our settings"),
        "temperature": (own.temperature, "set lm.temperature"),
        "top_p": (own.top_p, "set lm.top_p"),
        "max_completion_length": (own.max_tokens, "set lm.max_tokens"),
        "num_train_epochs": (1, "updates x streams is the length of training"),
        "max_steps": (settings.updates, "set updates"),
        # One sum over tokens; what each token counts is in its row's advantage.
        "loss_type": ("cispo" if slots.ratio == "cispo" else "dapo", "choose the aggregation and the ratio in settings.slots"),
        "importance_sampling_level": ("sequence" if slots.ratio == "gspo" else "token", "choose the ratio in settings.slots"),
        # LOOP's range begins at 1 / (1 + high).
        "epsilon": (high / (1 + high) if slots.ratio == "loop" else float(slots.clip_low or 0.0), "set slots.clip_low"),
        "epsilon_high": (high, "set slots.clip_high"),
        "num_iterations": (1, REFUSED["epochs"]),
        "beta": (0.0, _NO_REGULARISER),
        "shuffle_dataset": (False, "the streams come in the order of memenvs train"),
        "disable_dropout": (True, "memenvs train has none"),
        "num_generations_eval": (1, "held-out streams are played once each"),
        # The auxiliary loss of mixtures of experts does not add up over micro-batches.
        "router_aux_loss_coef": (0.0, _OTHER_LOSS),
    }  # fmt: skip
    for name in ("delta", "top_entropy_quantile", "entropy_coef", "use_adaptive_entropy", "off_policy_mask_threshold"):
        ours[name] = (_default(name), _OTHER_LOSS)
    for name in ("scale_rewards", "reward_weights", "multi_objective_aggregation", "mask_truncated_completions",
                 "log_completions", "chat_template_kwargs", "max_tool_calling_iterations"):  # fmt: skip
        ours[name] = (_default(name), _OTHER_ROWS)
    wrong = [
        f"{name}={getattr(args, name)!r}, which would be {value!r}: {out}"
        for name, (value, out) in ours.items()
        if getattr(args, name) not in (value, _default(name))
    ]
    rollouts = settings.streams * settings.group_size
    if own.gradient_checkpointing and not args.gradient_checkpointing:
        wrong.append("gradient_checkpointing=False, which would be True: leave lm.gradient_checkpointing off as well")
    if settings.group_size != args.num_generations:
        wrong.append(f"group_size {settings.group_size} and num_generations {args.num_generations} must be equal")
    if args.steps_per_generation != args.gradient_accumulation_steps:
        wrong.append("steps_per_generation is gradient_accumulation_steps here: an update is one batch of rollouts")
    elif args.generation_batch_size != rollouts:
        wrong.append(
            f"per_device_train_batch_size {args.per_device_train_batch_size} x processes {args.world_size} x "
            f"gradient_accumulation_steps {args.gradient_accumulation_steps} must be the rollouts of an update, streams x "
            f"group_size = {rollouts}"
        )
    if args.use_vllm and args.vllm_importance_sampling_correction:
        wrong.append("vllm_importance_sampling_correction must be False: the rows carry no ratios for it")
    if wrong:
        raise SettingsError(f"TRL's trainer cannot be used so: {'; '.join(wrong)}")
    for name, (value, _) in ours.items():
        setattr(args, name, value)


def _value(settings: TokenTrainSettings, name: str) -> Any:
    """The value of a field of the tables."""
    return reduce(getattr, name.split("."), settings)


def _default(name: str) -> Any:
    field = next(field for field in fields(GRPOConfig) if field.name == name)
    return field.default if field.default_factory is MISSING else field.default_factory()
