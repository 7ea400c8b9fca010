"""Values that a shell offers for an option when the user presses Tab.

Where a function returns nothing, the shell offers file names.
"""

import math
import os
import re
from collections.abc import Callable, Iterable, MutableMapping
from functools import partial
from typing import Any, get_args

Complete = Callable[[str], list[str]]
"""Takes the beginning of a value and returns the values that begin with it."""

REQUEST_VARIABLE, LINE_VARIABLE = "_NGATE_COMPLETE", "_TYPER_COMPLETE_ARGS"
"""Environment variables that the completion script of a shell sets: the kind of the request, and
from zsh and fish the line up to the cursor."""

BASH_REQUEST, ZSH_REQUEST, FISH_REQUEST = "complete_bash", "complete_zsh", "complete_fish"

SKIP_OPTION_IN_ZSH = "compset -P '*=';"
"""Command of zsh that completes only the rest of a word after an equals sign."""

_OPTION_WITH_VALUE = re.compile(r"(?<!\S)(--[\w-]+)=(\S*)$")

PRESET_USES = {
    "voice": "speech, podcasts, interviews",
    "music": "instruments and singing",
    "field": "field recordings, animals",
    "hard": "a plain binary mask",
}


def complete_files(incomplete: str) -> list[str]:  # noqa: ARG001  # Typer calls it by this name
    """Return nothing, so that the shell offers file names."""
    return []


def complete_presets(incomplete: str) -> list[tuple[str, str]]:
    """Return the presets that begin like this, each with a description."""
    from noisegate_cli.terminal.options.preset_files import list_user_presets

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

    bash treats an equals sign as a separate word, which Typer does not expect.
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


def split_zsh_word(environment: MutableMapping[str, str]) -> bool:
    """Make `--preset=v` at the end of a request of zsh look like `--preset v`.

    Returns whether there was such a word, of which zsh may then complete only the value.
    """
    line = environment.get(LINE_VARIABLE, "")
    if environment.get(REQUEST_VARIABLE) != ZSH_REQUEST or not _OPTION_WITH_VALUE.search(line):
        return False
    environment[LINE_VARIABLE] = _OPTION_WITH_VALUE.sub(r"\1 \2", line)
    return True


def complete_whole_words_in_fish(command: Any) -> None:
    """Put `--preset=` before the values of a command that fish completes after `--preset=`.

    fish replaces the whole word.
    """
    match = _OPTION_WITH_VALUE.search(os.environ.get(LINE_VARIABLE, ""))
    if os.environ.get(REQUEST_VARIABLE) != FISH_REQUEST or match is None:
        return
    flag = match[1]

    def complete_word(parameter: Any, context: Any, incomplete: str) -> list[Any]:
        items = type(parameter).shell_complete(parameter, context, incomplete)
        for item in items:
            item.value = f"{flag}={item.value}"
        return list(items)

    for parameter in command.params:
        if flag in parameter.opts:
            parameter.shell_complete = partial(complete_word, parameter)


def is_completion_request() -> bool:
    """Return whether a shell asks this process for completions."""
    return REQUEST_VARIABLE in os.environ


def prepare_request_of_this_process() -> None:
    """Prepare the request of a shell in the environment of this process, if there is one."""
    join_bash_words(os.environ)
    if split_zsh_word(os.environ):
        print(SKIP_OPTION_IN_ZSH, flush=True)


def _select(incomplete: str, values: Iterable[str]) -> list[str]:
    return [value for value in values if value.startswith(incomplete)]


def _format_value(value: float) -> str:
    """Return a value without a sign: a shell would take it for an option."""
    return "mute" if abs(value) == math.inf else f"{abs(value):g}"
