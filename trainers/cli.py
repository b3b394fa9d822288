"""The command line: ``memenvs train``, ``evaluate`` and so on (`trainers.commands.COMMANDS`), also as ``python -m memenvs``.

Each command is a small file in `trainers.commands`; heavy imports wait until a command needs them.
"""

from __future__ import annotations

import errno
import os
import select
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import IO, Annotated, Any, Union

from memenvs.errors import MemenvsError, SettingsError, did_you_mean

DESCRIPTION = "Train and evaluate memory managers. Each command explains itself: memenvs train --help"
GROUPS = {"data": "Make, check and extend data: memenvs data build --help"}
"""First lines of the help of groups of commands."""
INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it: 128 and the number of the signal."""
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""What a disk says of a file whose name it does not tell."""


def main(arguments: list[str] | None = None) -> None:
    """Run a command; errors raised on purpose are shown without a traceback."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed by who started us, as with >&-
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - for as long as the process lives
    try:
        import tyro  # noqa: F401
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
        _run(commands.COMMANDS, given, "memenvs", DESCRIPTION)
    except (MemenvsError, GymnasiumError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _unread(sys.stdout):
            # The reader of our output (head, less) is gone; say nothing to it.
            sys.stderr.close()
            return
        if error.filename is None and error.errno not in _DISK:
            raise
        place = f"{error.filename}: " if error.filename is not None else ""
        sys.exit(
            f"{place}{error.strerror}. Is the path right, may you write there, and is the disk neither full nor read-only? "
            "What was finished is kept"
        )
    except KeyboardInterrupt:
        print("stopped; what was finished is kept", file=sys.stderr)
        sys.exit(INTERRUPTED)


def _unread(output: IO[str]) -> bool:
    """Whether nobody is left who could read what is written to it."""
    try:
        output.flush()
        number = output.fileno()
    except BrokenPipeError:
        return True
    except (OSError, ValueError):  # no file, or closed
        return False
    if not hasattr(select, "poll"):
        return False
    asked = select.poll()
    asked.register(number, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in asked.poll(0))


def _run(known: Mapping[str, Any], given: list[str], prog: str, description: str) -> None:
    """Run the command that the first argument names, or show what there is."""
    import tyro

    markers = (tyro.conf.OmitArgPrefixes, tyro.conf.AvoidSubcommands, tyro.conf.FlagCreatePairsOff)
    command = known.get(given[0]) if given else None
    if given and given[0] == "train":
        command, given = _trainer(given)
    if isinstance(command, Mapping):
        _run(command, given[1:], f"{prog} {given[0]}", GROUPS[given[0]])
    elif command is not None:
        tyro.cli(command, prog=f"{prog} {given[0]}", args=given[1:], config=markers)
    else:
        tyro.cli(_overview(known), prog=prog, description=description, args=given)


def _trainer(given: list[str]) -> tuple[Any, list[str]]:
    """The command that ``train --agent NAME`` means, and the arguments without it: each agent has options of its own."""
    from trainers import commands

    name = "candidate"
    for place, argument in enumerate(given):
        flag, equals, value = argument.partition("=")
        if flag == "--agent":
            name = value if equals else "".join(given[place + 1 : place + 2])
            given = given[:place] + given[place + (1 if equals else 2) :]
            break
    if name not in commands.TRAINERS:
        known = tuple(commands.TRAINERS)
        raise SettingsError(f"--agent must be one of {', '.join(known)}, got {name!r}.{did_you_mean(name, known)}")
    return commands.TRAINERS[name], given


def _overview(known: Mapping[str, Any]) -> Any:
    """What tyro shows when no command was named: each with the first line of its help."""
    import tyro

    def shown(name: str, command: Any) -> tuple[Callable[..., None], str]:
        if isinstance(command, Mapping):
            return (lambda: None), GROUPS[name]
        return command, (command.__doc__ or "").partition("\n")[0]

    found = [(name, *shown(name, command)) for name, command in known.items()]
    return Union[  # noqa: UP007 - made at run time
        tuple(
            Annotated[
                Any,
                tyro.conf.subcommand(name, constructor=constructor, description=first),
            ]
            for name, constructor, first in found
        )
    ]


if __name__ == "__main__":
    main()
