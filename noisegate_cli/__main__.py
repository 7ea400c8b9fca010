"""Entry point of the command line, for `ngate` and `python -m noisegate_cli`.

Each worker process of a batch imports the main module of its parent again. Workers do not need the
command line, so `main` imports it only when it runs.
"""

import _signal  # type: ignore[import-not-found]  # `signal` takes milliseconds to load
import os


def main() -> None:
    """Run the command line with the arguments of this process."""
    # Until the signals are handled, Ctrl-C must end the process without a traceback.
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    from noisegate_cli.terminal.interrupts import exit_from_long_calls, handle_signals

    handle_signals()
    # Encoders open an output again for the tags, which the owner must be allowed to do.
    os.umask(os.umask(0o077) & 0o077)
    from noisegate_cli.memory import reduce_gc
    from noisegate_cli.terminal.descriptors import open_closed_descriptors

    open_closed_descriptors()
    exit_from_long_calls()
    reduce_gc()
    from noisegate_cli.terminal import cli

    cli.main()


if __name__ == "__main__":
    main()
