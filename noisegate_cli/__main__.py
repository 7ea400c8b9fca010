"""Run the command line, as `ngate` and as `python -m noisegate_cli`.

A process that is started for a batch imports the main module of its parent once more. It has no
use for the command line, so that is imported only where it runs.
"""

from noisegate_cli.memory import reduce_gc


def main() -> None:
    """Run the command line of this process."""
    reduce_gc()
    from noisegate_cli.terminal import cli

    cli.main()


if __name__ == "__main__":
    main()
