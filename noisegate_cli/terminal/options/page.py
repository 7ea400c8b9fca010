"""The option `--page` of `ngate analyze`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noisegate_cli.gating.settings import PRESETS, GateSettings

if TYPE_CHECKING:
    from noisegate_cli.page.command import CommandWords

PageOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE.html",
        help="Write an HTML page to listen to the recording and adjust the gate.",
    ),
]

FIXED_SETTINGS = (
    *("key_hz", "listen", "speech", "channels", "nonfinite", "frame_length", "hop_length"),
    *("spectral", "reduction_db", "noise"),
)
"""Settings that the page cannot change. It turns a target floor into a range."""


def build_command_words(
    file: Path | str, settings: GateSettings, raw: str | None, track: int | None
) -> "CommandWords":
    """Return the words of the command line between which the page puts its settings."""
    from noisegate_cli.page.command import CommandWords
    from noisegate_cli.page.document import CONTROLS
    from noisegate_cli.terminal.options.gate_settings import GATE_OPTIONS
    from noisegate_cli.terminal.options.words import list_reading_options, looks_like_option
    from noisegate_cli.text import quote_for_shell

    files = list_reading_options(raw, track)
    path = str(file)
    end = ["--", path] if looks_like_option(path) else [path]
    flags = {name: GATE_OPTIONS[name].flags[0] for name in (*CONTROLS, "threshold", "adaptive")}
    hidden = ["--spectral"] if settings.spectral != "off" else []
    hidden += ["--channels=exclusive"] if settings.channels == "exclusive" else []
    return CommandWords(
        start={
            preset: quote_for_shell(
                ["ngate", "gate", *_list_fixed_options(settings, preset), *files]
            )
            for preset in PRESETS
        },
        not_previewed=" ".join(hidden),
        end=quote_for_shell(end),
        flags=flags | {"preset": "--preset", "keep": "--keep", "cut": "--cut"},
    )


def _list_fixed_options(settings: GateSettings, preset: str) -> list[str]:
    """Return the options of the fixed settings that differ from a preset."""
    from noisegate_cli.terminal.options.words import format_option

    changes = settings.changes_from(GateSettings.preset(preset))
    if settings.spectral != "off":
        changes["spectral"] = True
    else:
        changes.pop("reduction_db", None)
    return [format_option(name, changes[name]) for name in FIXED_SETTINGS if name in changes]
