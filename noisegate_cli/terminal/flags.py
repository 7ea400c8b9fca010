"""Replace Python parameters in messages of the library by command-line flags.

A message of the library writes a suggested parameter in Python syntax: `force=True`,
`subtype='FLOAT'`. On the command line the same parameter is a flag: `--force`, `--subtype FLOAT`.
"""

import re

from noisegate_cli.terminal.options.gate_settings import GATE_OPTIONS

FLAGS = {name: option.flags[0] for name, option in GATE_OPTIONS.items()} | {
    "against": "--against",
    "bit_rate": "--bitrate",
    "cluster": "--cluster",
    "comparison": "--ab",
    "cut": "--cut",
    "duration": "--duration",
    "force": "--force",
    "format": "--format",
    "include": "--include",
    "jobs": "--jobs",
    "keep": "--keep",
    "key": "--key",
    "labels": "--labels",
    "names_file": "--from-file",
    "null_separated": "-0",
    "output": "-o",
    "quality": "--quality",
    "segments": "--apply",
    "start": "--start",
    "subtype": "--subtype",
    "csv_path": "--report",
    "plot_path": "--plot",
    "plot": "--plot",
    "threshold": "-t",
    "tracks": "--tracks",
    "timeout_s": "--timeout",
    "track": "--track",
}
"""Flag of each parameter that a message may suggest."""

_QUOTED_OR_PARAMETER = re.compile(
    rf"""'[^']*'|\b(?P<name>{"|".join(FLAGS)})=(?P<value>'[^']*'|True|[-+.\w…]*)"""
)


def to_flags(message: str) -> str:
    """Return `message` with flags in place of Python parameters; quoted paths are unchanged.

    Examples
    --------
    >>> to_flags("'force=True.wav' already exists: force=True overwrites it")
    "'force=True.wav' already exists: --force overwrites it"
    >>> to_flags("subtype='FLOAT' in a WAV file keeps them")
    '--subtype FLOAT in a WAV file keeps them'
    """

    def flag(match: re.Match[str]) -> str:
        if match["name"] is None:
            return match[0]
        value = match["value"].strip("'")
        return FLAGS[match["name"]] + ("" if value in ("", "True") else f" {value}")

    return _QUOTED_OR_PARAMETER.sub(flag, message)
