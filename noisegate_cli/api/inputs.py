"""The files that a call of `gate_file` or `analyze_file` reads."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from noisegate_cli.files.pipes import RawFormat


def parse_raw_format(raw: "RawFormat | str | None") -> "RawFormat | None":
    """Return the format of an input without a header, given as an object or as text."""
    if raw is None:
        return None
    from noisegate_cli.files.pipes import RawFormat

    return RawFormat.from_value(raw)


def list_inputs(
    path: Path,
    noise_file: str | None,
    segments: str | Path | None = None,
    key: str | Path | None = None,
    against: Sequence[str | Path] = (),
) -> dict[str, Path]:
    """Return the paths of the files that are only read, by their description."""
    named: dict[str, str | Path | None] = {
        "the input": path,
        "the recording of the noise": noise_file,
        "the applied file": segments,
        "the key": key,
    }
    for number, track in enumerate(against, 1):
        named["another track" if number == 1 else f"another track ({number})"] = track
    return {name: Path(source) for name, source in named.items() if source}
