"""Entry point of the command line, for `ngate` and `python -m noisegate_cli`.

Each worker process of a batch imports the main module of its parent again. Workers do not need the
command line, so `main` imports it only when it runs.
"""

from noisegate_cli.memory import reduce_gc
from noisegate_cli.terminal.descriptors import open_closed_descriptors
from noisegate_cli.terminal.interrupts import handle_signals


def main() -> None:
    """Run the command line with the arguments of this process."""
    handle_signals()
    open_closed_descriptors()
    reduce_gc()
    from noisegate_cli.terminal import cli

    cli.main()


if __name__ == "__main__":
    main()
