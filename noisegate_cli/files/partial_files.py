"""Files that are being written: what they are called, and the end of those that were left."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from zlib import crc32

PARTIAL_SUFFIX = ".partial"
"""How their names end."""


def partial_path(path: Path) -> Path:
    """Return where to write what is to become `path`, beside it: elsewhere each time."""
    return path.with_name(f"{_partial_prefix(path.name)}{os.urandom(4).hex()}{PARTIAL_SUFFIX}")


def remove_partials(folder: str | Path, names: Iterable[str]) -> None:
    """Remove what processes left in `folder` that were killed while they wrote one of `names`.

    Nobody may be writing to these. What others write there is left alone. The names are not asked
    for unless there is something that may be removed.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        partials = [Path(entry.path) for entry in entries if entry.name.endswith(PARTIAL_SUFFIX)]
        if not partials:
            return
        prefixes = tuple({_partial_prefix(name) for name in names})
        for path in partials:
            if path.name.startswith(prefixes):
                with suppress(OSError):
                    path.unlink()


def _partial_prefix(name: str) -> str:
    """Return how the names of partial files begin that are to become `name`."""
    return f".ngate-{crc32(os.fsencode(name)):08x}-"
