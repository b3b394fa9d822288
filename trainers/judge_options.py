"""Options for a model that judges: what a person sets about it on the command line."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict

import tyro

from memenvs.errors import SettingsError
from trainers.extra_parameters import with_extra

_PREFIX = "judge_"


class JudgeOptions(TypedDict, total=False):
    """Of the judge. What is left out is as in `memenvs.endpoint.ChatSettings`."""

    judge_max_tokens: int
    """Of the judge: longest reply (1024 if not given)."""
    judge_extra: str
    """Of the judge: more parameters of its requests, a JSON object such as {"chat_template_kwargs": {"enable_thinking": false}};
    null leaves temperature or max_tokens out, for models that refuse them."""


Judging = Annotated[JudgeOptions, tyro.conf.arg(name="")]
"""As a command takes them."""


def judge_flags(options: JudgeOptions) -> list[str]:
    """Names of those that were given, as on the command line."""
    return [name.replace("_", "-") for name in options]


def judge_arguments(address: str | None, options: JudgeOptions) -> dict[str, Any]:
    """Arguments of `memenvs.scoring.make_judge`.

    Args:
        address: of the judge, if there is one.
        options: those that were given.

    Raises:
        SettingsError: there is no judge for them, or the extra parameters do not fit.
    """
    if options and address is None:
        raise SettingsError(
            f"--{' and --'.join(judge_flags(options))}: nobody judges; name the judge with --judge, or leave it out"
        )
    return with_extra({name.removeprefix(_PREFIX): value for name, value in options.items()}, "judge")
