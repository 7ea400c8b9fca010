"""Command-line options of the gate settings, in one table for all commands."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, NamedTuple

import typer

from noisegate_cli.errors import SettingsError
from noisegate_cli.gating.extras import check_speech_extra
from noisegate_cli.gating.parsing import (
    parse_band,
    parse_level,
    parse_noise,
    parse_quantity,
    parse_range,
    parse_reduction,
    parse_samples,
    parse_threshold,
)
from noisegate_cli.gating.settings import PRESETS, GateSettings
from noisegate_cli.terminal.option_groups import replace_parameter

DETECTOR_PANEL = "How it listens"
ENVELOPE_PANEL = "How it opens and closes (defaults from the preset)"
SPECTRAL_PANEL = "The noise under the signal"


class Option(NamedTuple):
    """Command-line option that sets one field of GateSettings."""

    flags: tuple[str, ...]
    metavar: str
    """Placeholder of the value in the help; empty for a switch."""
    panel: str
    help: str
    parse: Callable[[str], Any]
    default: str = ""
    """Default as shown in the help; empty if the preset determines it."""


GATE_OPTIONS: dict[str, Option] = {
    "threshold": Option(
        ("--threshold", "-t"),
        "LEVEL",
        DETECTOR_PANEL,
        "Opens above this frame RMS: 0.03 (of full scale 1.0) or -30dB. Or finds out: "
        "auto hears what is signal; auto:otsu, auto:gmm and auto:p56 go by the levels; "
        "floor+6dB by the noise.",
        parse_threshold,
        "auto",
    ),
    "adaptive": Option(
        ("--adaptive",),
        "",
        DETECTOR_PANEL,
        "Moves the threshold with the noise; auto does that anyway.",
        bool,
    ),
    "key_hz": Option(
        ("--key",),
        "HZ-HZ",
        DETECTOR_PANEL,
        "Listens only between these frequencies: 250-4000.",
        partial(parse_band, "key"),
        "all",
    ),
    "hysteresis_db": Option(
        ("--hysteresis",),
        "DB",
        DETECTOR_PANEL,
        "Closes only this far below a threshold; auto has a hysteresis of its own.",
        partial(parse_quantity, "hysteresis", unit="dB"),
    ),
    "min_open_ms": Option(
        ("--min-open",),
        "MS",
        DETECTOR_PANEL,
        "Doesn't open for shorter sounds.",
        partial(parse_quantity, "min open", unit="ms"),
    ),
    "min_closed_ms": Option(
        ("--min-closed",),
        "MS",
        DETECTOR_PANEL,
        "Doesn't close in shorter pauses.",
        partial(parse_quantity, "min closed", unit="ms"),
    ),
    "listen": Option(
        ("--listen",),
        "voice|all",
        DETECTOR_PANEL,
        "voice: auto closes on keys, doors and the like between words. all: it opens for any "
        "sound.",
        str,
    ),
    "speech": Option(
        ("--speech",),
        "",
        DETECTOR_PANEL,
        'Adds a neural speech detector to auto: pip install "noisegate-cli[speech]".',
        bool,
    ),
    "channels": Option(
        ("--channels",),
        "linked|separate",
        DETECTOR_PANEL,
        "linked: the loudest channel opens all. separate: each has a gate of its own.",
        str,
        "linked",
    ),
    "nonfinite": Option(
        ("--nonfinite",),
        "refuse|zero",
        DETECTOR_PANEL,
        "What becomes of samples that are NaN or infinite; zero silences them.",
        str,
        "refuse",
    ),
    "frame_length": Option(
        ("--frame-length",),
        "SAMPLES",
        DETECTOR_PANEL,
        "Length of an analysis frame.",
        partial(parse_samples, "frame length"),
        "the power of two from 30 ms on",
    ),
    "hop_length": Option(
        ("--hop-length",),
        "SAMPLES",
        DETECTOR_PANEL,
        "From frame to frame; divides half the frame.",
        partial(parse_samples, "hop length"),
        "a quarter of the frame",
    ),
    "lookahead_ms": Option(
        ("--lookahead",),
        "MS",
        ENVELOPE_PANEL,
        "Is fully open this long before the sound.",
        partial(parse_quantity, "lookahead", unit="ms"),
    ),
    "attack_ms": Option(
        ("--attack",),
        "MS",
        ENVELOPE_PANEL,
        "Fades in, before the lookahead.",
        partial(parse_quantity, "attack", unit="ms"),
    ),
    "hold_ms": Option(
        ("--hold",),
        "MS",
        ENVELOPE_PANEL,
        "Stays fully open this long after the sound.",
        partial(parse_quantity, "hold", unit="ms"),
    ),
    "release_ms": Option(
        ("--release",),
        "MS",
        ENVELOPE_PANEL,
        "Fades out, after the hold.",
        partial(parse_quantity, "release", unit="ms"),
    ),
    "range_db": Option(
        ("--range",),
        "DB|mute",
        ENVELOPE_PANEL,
        "Gain of the closed gate: -24dB, or mute for silence.",
        parse_range,
    ),
    "target_floor_db": Option(
        ("--target-floor",),
        "DBFS",
        ENVELOPE_PANEL,
        "Takes the range that makes the pauses this loud: -62dB.",
        partial(parse_level, "target floor"),
        "none",
    ),
    "spectral": Option(
        ("--spectral",),
        "",
        SPECTRAL_PANEL,
        "Turns down the noise in each frequency bin, under the signal too. The pauses are quiet "
        "then; --range mute silences them as well.",
        bool,
    ),
    "reduction_db": Option(
        ("--reduction",),
        "DB|mute",
        SPECTRAL_PANEL,
        "How far a bin goes down at the most: 12dB. Less sounds more natural.",
        parse_reduction,
    ),
    "noise": Option(
        ("--noise",),
        "FILE|FROM-TO",
        SPECTRAL_PANEL,
        "Where the noise is alone: a recording of it, or a stretch of this one: 0:00-0:02.5.",
        parse_noise,
        "learnt from the pauses",
    ),
}


PresetOption = Annotated[
    str,
    typer.Option(
        "--preset",
        "-p",
        metavar="|".join(PRESETS),
        help="Where the options below start from, and the hysteresis, min open and min closed.",
        rich_help_panel=ENVELOPE_PANEL,
    ),
]


def add_gate_options(*without: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that adds the gate options, except `without`, to a command.

    The command receives the parsed options as one `settings` argument.
    """
    options = {name: option for name, option in GATE_OPTIONS.items() if name not in without}
    added = [
        inspect.Parameter(
            "preset", inspect.Parameter.KEYWORD_ONLY, default="voice", annotation=PresetOption
        )
    ]
    for name, option in options.items():
        typer_option = typer.Option(
            *option.flags,
            metavar=option.metavar or None,
            help=option.help,
            rich_help_panel=option.panel,
            show_default=option.default or False,
        )
        added.append(
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Annotated[str | None if option.metavar else bool | None, typer_option],
            )
        )

    def build(preset: str, **texts: str | None) -> GateSettings:
        return parse_settings(preset, texts)

    return lambda command: replace_parameter(command, "settings", added, build, at_end=True)


def parse_settings(preset: str, texts: dict[str, str | None]) -> GateSettings:
    """Return the settings of a preset, overridden by the options in `texts`.

    Raises
    ------
    SettingsError
        If a value cannot be parsed or is out of range, or if options contradict each other.
    """
    changes = {
        name: GATE_OPTIONS[name].parse(text) for name, text in texts.items() if text is not None
    }
    if not changes.get("spectral") and (misplaced := {"reduction_db", "noise"} & set(changes)):
        flag = GATE_OPTIONS[min(misplaced)].flags[0]
        raise SettingsError(f"{flag} is of the spectral gate: add --spectral")
    if changes.get("speech"):
        check_speech_extra()
    return GateSettings.preset(preset, **changes).resolved
