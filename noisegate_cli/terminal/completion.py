"""Values that a shell offers for an option when the user presses Tab.

Where a function returns nothing, the shell offers the names of files.
"""

import math
import os
from collections.abc import Callable, Iterable, MutableMapping
from typing import get_args

Complete = Callable[[str], list[str]]
"""Takes the beginning of a value and returns the values that begin like this."""

REQUEST_VARIABLE, BASH_REQUEST = "_NGATE_COMPLETE", "complete_bash"
"""Environment variable that the completion script of a shell sets, and its value from bash."""

PRESET_USES = {
    "voice": "speech, podcasts, interviews",
    "music": "instruments and singing",
    "field": "field recordings, animals",
    "hard": "a plain binary mask",
}


def complete_files(incomplete: str) -> list[str]:  # noqa: ARG001  # Typer calls it by this name
    """Return nothing, so that the shell offers the names of files."""
    return []


def complete_presets(incomplete: str) -> list[tuple[str, str]]:
    """Return the presets that begin like this, each with a description."""
    from noisegate_cli.terminal.preset_files import list_user_presets

    presets = [*PRESET_USES.items(), *((name, "your preset") for name in list_user_presets())]
    return [(name, use) for name, use in presets if name.startswith(incomplete)]


def complete_formats(incomplete: str) -> list[str]:
    """Return the formats of outputs that begin like this."""
    from noisegate_cli.files.formats import WRITABLE_EXTENSIONS

    return _select(incomplete, (name.removeprefix(".") for name in WRITABLE_EXTENSIONS))


def complete_label_formats(incomplete: str) -> list[str]:
    """Return the formats of label files that begin like this."""
    from noisegate_cli.files.labels.registry import LABEL_FORMATS

    return _select(incomplete, (name.removeprefix(".") for name in LABEL_FORMATS))


def complete_subtypes(incomplete: str) -> list[str]:
    """Return the sample types that begin like this, in upper case."""
    from noisegate_cli.files.formats import SUBTYPES

    return [name for name in SUBTYPES if name.startswith(incomplete)]


def complete_setting(name: str) -> Complete:
    """Return the function that completes the values of a setting.

    It offers names, or for a time or an attenuation the values of the presets.
    """

    def complete(incomplete: str) -> list[str]:
        from noisegate_cli.gating.parsing import METHODS
        from noisegate_cli.gating.setting_values import FIELD_CHOICES
        from noisegate_cli.gating.settings import PRESETS

        if name == "threshold":
            return _select(incomplete, (*METHODS, "floor+6dB"))
        if name in FIELD_CHOICES:
            return _select(incomplete, get_args(FIELD_CHOICES[name]))
        if name.endswith(("_ms", "_db")):
            values = {getattr(preset.resolved, name) for preset in PRESETS.values()} - {None}
            return _select(incomplete, (_format_value(value) for value in sorted(values)))
        return []

    return complete


def join_bash_words(environment: MutableMapping[str, str]) -> None:
    """Make `--preset=v` in a request of bash look like `--preset v`.

    bash takes an equals sign as a word of its own, which Typer doesn't expect.
    """
    if environment.get(REQUEST_VARIABLE) != BASH_REQUEST:
        return
    words = environment.get("COMP_WORDS", "").split("\n")
    index = int(environment.get("COMP_CWORD", "0"))
    signs = [
        i
        for i, word in enumerate(words)
        if 0 < i < index and word == "=" and words[i - 1].startswith("--")
    ]
    environment["COMP_WORDS"] = "\n".join(w for i, w in enumerate(words) if i not in signs)
    environment["COMP_CWORD"] = str(index - len(signs))


def is_completion_request() -> bool:
    """Return whether a shell asks this process for completions."""
    return REQUEST_VARIABLE in os.environ


def join_words_of_this_process() -> None:
    """Prepare the request of bash in the environment of this process, if there is one."""
    join_bash_words(os.environ)


def _select(incomplete: str, values: Iterable[str]) -> list[str]:
    return [value for value in values if value.startswith(incomplete)]


def _format_value(value: float) -> str:
    """Return a value without a sign: a shell would take it for an option."""
    return "mute" if abs(value) == math.inf else f"{abs(value):g}"
