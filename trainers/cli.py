"""The command line: ``memenvs train | evaluate | envs | play | demo | bench-rewards``, also as ``python -m memenvs``.

Each command is a small file in `trainers.commands`; heavy imports wait until a command needs them.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from typing import Annotated, Any, Union

from memenvs.errors import MemenvsError

DESCRIPTION = "Train and evaluate memory managers. Each command explains itself: memenvs train --help"


def main(arguments: list[str] | None = None) -> None:
    """Run a command; errors raised on purpose are shown without a traceback."""
    try:
        import tyro
    except ImportError:
        sys.exit("the command line needs tyro and rich: pip install -e '.[train]'")
    from gymnasium.error import Error as GymnasiumError

    from trainers import commands

    # A warning is for the reader of the terminal, not for a programmer: without file, line and source.
    warnings.formatwarning = lambda message, *_: f"warning: {message}\n"
    # A console script, unlike python -m, does not look here: --reward my_module:MyReward needs it. Last, so that a file of
    # yours that is called rewards.py or agents.py does not take the place of ours.
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        given = sys.argv[1:] if arguments is None else arguments
        markers = (tyro.conf.OmitArgPrefixes, tyro.conf.AvoidSubcommands, tyro.conf.FlagCreatePairsOff)
        if given and given[0] in commands.COMMANDS:
            tyro.cli(commands.COMMANDS[given[0]], prog=f"memenvs {given[0]}", args=given[1:], config=markers)
        else:
            tyro.cli(_overview(commands.COMMANDS), prog="memenvs", description=DESCRIPTION, args=given)
    except (MemenvsError, GymnasiumError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    except BrokenPipeError:
        # The reader of our output (head, less) is gone; say nothing to it.
        sys.stderr.close()
    except KeyboardInterrupt:
        sys.exit("stopped; what was finished is kept")


def _overview(known: dict[str, Callable[..., None]]) -> Any:
    """What tyro shows when no command was named: each with the first line of its help."""
    import tyro

    return Union[  # noqa: UP007 - made at run time
        tuple(
            Annotated[
                Any,
                tyro.conf.subcommand(name, constructor=command, description=(command.__doc__ or "").partition("\n")[0]),
            ]
            for name, command in known.items()
        )
    ]


if __name__ == "__main__":
    main()
