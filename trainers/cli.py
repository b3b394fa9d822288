"""The command line: ``memenvs train | evaluate | envs | play | demo``, also as ``python -m memenvs``.

Each command is a small file in `trainers.commands`; heavy imports wait until a command needs them.
"""

from __future__ import annotations

import sys

from memenvs.errors import MemenvsError


def main(arguments: list[str] | None = None) -> None:
    """Run a command; errors raised on purpose are shown without a traceback."""
    try:
        import tyro
    except ImportError:
        sys.exit("the command line needs tyro and rich: pip install 'memenvs[train]'")
    from trainers import commands

    try:
        tyro.extras.subcommand_cli_from_dict(
            commands.COMMANDS,
            prog="memenvs",
            description="Train and evaluate memory managers. Each command explains itself: memenvs train --help",
            args=arguments,
            config=(tyro.conf.OmitArgPrefixes, tyro.conf.AvoidSubcommands, tyro.conf.FlagConversionOff),
        )
    except MemenvsError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    except BrokenPipeError:
        # The reader of our output (head, less) is gone; say nothing to it.
        sys.stderr.close()
    except KeyboardInterrupt:
        sys.exit("stopped; what was finished is kept")


if __name__ == "__main__":
    main()
