"""Open closed standard descriptors."""

import os
import sys

MODES = {"stdin": (os.O_RDONLY, "r"), "stdout": (os.O_RDONLY, "w"), "stderr": (os.O_WRONLY, "w")}
"""Access to the null device in place of each stream, and the mode of Python's file.

Data for a closed standard output would be lost, so writing must fail. Messages for a closed
standard error are discarded.
"""


def open_closed_descriptors() -> None:
    """Open the descriptors 0 to 2 on the null device if they are closed.

    Otherwise, a recording could become standard input or output. Call it before any file is opened.
    """
    for descriptor, (name, (access, mode)) in enumerate(MODES.items()):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lower descriptors are open, so `os.open` returns this one.
            os.open(os.devnull, access)
            os.set_inheritable(descriptor, True)
            setattr(sys, name, os.fdopen(descriptor, mode, closefd=False))
