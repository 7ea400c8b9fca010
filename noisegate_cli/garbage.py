"""Less looking for garbage, in processes of ours that would find next to none.

What Python loads stays until the end. Looking through it for unused cycles, again and again while
it is being loaded and once more at the end, takes a quarter of a short run.
"""

import atexit
import gc

COLLECT_AFTER = 10_000
"""New objects; Python's own number is 700, or 2000."""


def look_for_less() -> None:
    """Let this process look for garbage less often, and not when it ends."""
    gc.set_threshold(COLLECT_AFTER)
    atexit.register(gc.freeze)
