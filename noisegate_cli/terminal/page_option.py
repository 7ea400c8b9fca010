"""The option `--page` of `ngate analyze`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noisegate_cli.errors import SettingsError
from noisegate_cli.gating.settings import GateSettings

if TYPE_CHECKING:
    from noisegate_cli.api.file_analysis import AnalysisReport
    from noisegate_cli.files.pipes import RawFormat
    from noisegate_cli.page.command import CommandWords

PageOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE.html",
        help="Write an HTML page on which you listen to the recording and adjust the gate.",
    ),
]


FIXED_SETTINGS = ("key_hz", "channels", "nonfinite", "frame_length", "hop_length")
"""Settings that the page can't change. It turns a target floor into a range."""


def check_page(page: str, files: Sequence[str]) -> None:
    """Check that a page has the name of an HTML file, and is of a single recording.

    Raises
    ------
    SettingsError
        If it is not.
    """
    if not page.lower().endswith((".html", ".htm")):
        raise SettingsError(f"--page {page!r} must be an HTML file: end the name in .html")
    if len(files) > 1:
        raise SettingsError(f"--page {page!r} requires a single recording: give one FILE")


def analyze_and_write_page(
    file: Path | str,
    page: str,
    settings: GateSettings,
    words: "CommandWords",
    raw: "RawFormat | None",
    force: bool,
    progress: Callable[[float], None],
) -> "AnalysisReport":
    """Analyze a recording and write its page."""
    from noisegate_cli.page.document import write_page

    return write_page(
        Path(file),
        Path(page),
        settings,
        words,
        raw=raw,
        force=force,
        progress=progress,
    )


def build_command_words(
    file: Path | str, settings: GateSettings, raw: str | None
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
    path = str(file)
    end = ["--", path] if path.startswith("-") and path != "-" else [path]
    flags = {name: GATE_OPTIONS[name].flags[0] for name in (*CONTROLS, "threshold")}
    return CommandWords(
        start=quote_for_shell(["ngate", "gate", *options]),
        end=quote_for_shell(end),
        flags=flags | {"preset": "--preset", "keep": "--keep", "cut": "--cut"},
    )
