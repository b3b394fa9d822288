"""``python -m memenvs``: the command line of the whole project."""

from trainers.cli import main

if __name__ == "__main__":
    main()
