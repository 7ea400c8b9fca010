"""Progress of long calls: a callback, or a bar in the console or the notebook."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from noisegate_cli.errors import SettingsError
from noisegate_cli.samples import Blocks, Samples

ProgressCallback: TypeAlias = Callable[[float], None]
"""Function that is called at intervals with the finished share of the work, 0 to 1."""

FIRST_PASS_SHARE = 0.3
"""Typical share of the total work that the first of two passes takes."""

Progress: TypeAlias = bool | ProgressCallback
"""True shows a bar on stderr or in the notebook; a function is called with the finished share."""


@contextmanager
def open_progress(progress: Progress, label: str) -> Iterator[ProgressCallback]:
    """Yield the callback that reports to `progress`; `label` is the title of a bar."""
    if callable(progress):
        yield progress
        return
    if not isinstance(progress, bool | None):
        raise SettingsError(
            f"progress= of type {type(progress).__name__} is neither True nor a function: "
            "give progress=True for a bar"
        )
    if not progress:
        yield lambda _: None
        return
    from tqdm.auto import tqdm

    layout = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
    with tqdm(total=1.0, desc=label, bar_format=layout) as bar:
        yield lambda share: bar.update(share - bar.n)


def scale_progress(progress: ProgressCallback, start: float, end: float) -> ProgressCallback:
    """Return a callback for the part of the work between two shares of the whole."""
    return lambda share: progress(start + share * (end - start))


def report_progress(
    blocks: Blocks, length: int, progress: ProgressCallback
) -> Iterator[tuple[Samples, bool]]:
    """Yield `blocks` and report the share of `length` samples that they cover.

    If the length is unknown, 0, the share is 0 until the end.
    """
    done = 0
    for block, last in blocks:
        yield block, last
        done += len(block)
        if last:
            progress(1.0)
        else:
            progress(min(1.0, done / length) if length else 0.0)
