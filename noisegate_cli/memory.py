"""How processes of ours, which only do one thing, get memory and give it back.

What Python loads stays until the end: looking through it for unused cycles, again and again while
it is being loaded and once more at the end, takes an eighth of a short run.

The arrays of one block are as large as those of the next. glibc would give large ones back to the
system when they are freed, and get them anew, page by page: a tenth of the time of a plain gate.
"""

import atexit
import gc
import sys

GC_THRESHOLD_OBJECTS = 10_000
"""New objects; Python's own number is 700, or 2000."""

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""As in malloc.h: how much may be free before some is given back, and what is large."""


def reduce_gc() -> None:
    """Let this process look for garbage less often, and not when it ends."""
    gc.set_threshold(GC_THRESHOLD_OBJECTS)
    atexit.register(gc.freeze)


def keep_freed_memory() -> None:
    """Let this process keep memory that is freed for what comes next, where the system is glibc."""
    if sys.platform != "linux":
        return
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(M_MMAP_THRESHOLD, 1 << 25)
        mallopt(M_TRIM_THRESHOLD, 1 << 28)
