"""The option `--page` of `ngate analyze`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noisegate_cli.gating.settings import GateSettings

if TYPE_CHECKING:
    from noisegate_cli.page.command import CommandWords

PageOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE.html",
        help="Write an HTML page on which you listen to the recording and adjust the gate.",
    ),
]

FIXED_SETTINGS = ("key_hz", "listen", "speech", "nonfinite", "frame_length", "hop_length")
"""Settings that the page can't change. It turns a target floor into a range."""


def build_command_words(
    file: Path | str, settings: GateSettings, raw: str | None, track: int | None
) -> "CommandWords":
    """Return the words of the command line between which the page puts its settings."""
    from noisegate_cli.page.command import CommandWords
    from noisegate_cli.page.document import CONTROLS
    from noisegate_cli.terminal.advice import format_option
    from noisegate_cli.terminal.options import GATE_OPTIONS
    from noisegate_cli.text import quote_for_shell

    changes = settings.changes_from(GateSettings())
    options = [format_option(name, changes[name]) for name in FIXED_SETTINGS if name in changes]
    options += [f"--raw={raw}"] if raw else []
    options += [f"--track={track}"] if track else []
    hidden = ["--spectral"] if settings.spectral != "off" else []
    if hidden:
        names = ("reduction_db", "noise")
        hidden += [format_option(name, changes[name]) for name in names if name in changes]
    if settings.channels != "linked":
        (hidden if settings.channels == "exclusive" else options).append(
            format_option("channels", settings.channels)
        )
    path = str(file)
    end = ["--", path] if path.startswith("-") and path != "-" else [path]
    flags = {name: GATE_OPTIONS[name].flags[0] for name in (*CONTROLS, "threshold", "adaptive")}
    return CommandWords(
        start=quote_for_shell(["ngate", "gate", *options, *hidden]),
        not_previewed=quote_for_shell(hidden),
        end=quote_for_shell(end),
        flags=flags | {"preset": "--preset", "keep": "--keep", "cut": "--cut"},
    )
