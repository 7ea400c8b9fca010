"""Command-line options of the gate settings, in one table for all commands."""

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple

import typer

from noisegate_cli.api.presets import Preset
from noisegate_cli.gating.settings import PRESETS, GateSettings
from noisegate_cli.terminal.options.completion import complete_presets, complete_setting
from noisegate_cli.terminal.options.groups import Option, order_by_panel, replace_parameter
from noisegate_cli.terminal.options.preset_files import load_preset

MAIN_PANEL = "Options"  # the panel to which Typer adds --help
OUTPUT_PANEL = "Output"
DETECTOR_PANEL = "Detection"
ENVELOPE_PANEL = "Opening and closing"
SPECTRAL_PANEL = "Spectral noise reduction"
ADVANCED_PANEL = "Advanced"
PANELS = (
    MAIN_PANEL,
    OUTPUT_PANEL,
    None,
    DETECTOR_PANEL,
    ENVELOPE_PANEL,
    SPECTRAL_PANEL,
    ADVANCED_PANEL,
)


GATE_OPTIONS: dict[str, Option] = {
    "threshold": Option(
        ("--threshold", "-t"),
        "LEVEL",
        MAIN_PANEL,
        "Open above this RMS level: 0.03 (full scale is 1.0) or -30dB. auto detects the signal "
        "instead. auto:otsu, auto:gmm and auto:p56 estimate a level. floor+6dB is 6 dB above the "
        "noise floor.",
        "auto",
    ),
    "adaptive": Option(
        ("--adaptive",),
        "",
        DETECTOR_PANEL,
        "Move the threshold with the noise floor. The automatic gate always does.",
    ),
    "key_hz": Option(
        ("--key",),
        "HZ-HZ",
        DETECTOR_PANEL,
        "Detect only between these frequencies, for example 250-4000. The output keeps all "
        "frequencies.",
        "all frequencies",
    ),
    "hysteresis_db": Option(
        ("--hysteresis",),
        "DB",
        DETECTOR_PANEL,
        "Close only this far below the threshold. The automatic gate has its own hysteresis.",
    ),
    "min_open_ms": Option(
        ("--min-open",),
        "MS",
        DETECTOR_PANEL,
        "Ignore sounds that are shorter than this.",
    ),
    "min_closed_ms": Option(
        ("--min-closed",),
        "MS",
        DETECTOR_PANEL,
        "Stay open in pauses that are shorter than this.",
    ),
    "listen": Option(
        ("--listen",),
        "voice|all",
        DETECTOR_PANEL,
        "voice: in speech, the automatic gate closes on sounds such as keys and doors. all: it "
        "opens for every sound.",
    ),
    "speech": Option(
        ("--speech",),
        "",
        DETECTOR_PANEL,
        "Add a neural speech detector to the automatic gate. Requires the extra "
        '"noisegate-cli[speech]".',
    ),
    "channels": Option(
        ("--channels",),
        "linked|separate|exclusive",
        DETECTOR_PANEL,
        "linked: the loudest channel opens all channels. separate: each channel has its own gate. "
        "exclusive: one speaker per channel; close where only the other channels have sound.",
        "linked",
    ),
    "nonfinite": Option(
        ("--nonfinite",),
        "refuse|zero",
        ADVANCED_PANEL,
        "Samples that are NaN or infinite: refuse the recording, or replace them with zero.",
        "refuse",
    ),
    "frame_length": Option(
        ("--frame-length",),
        "SAMPLES",
        ADVANCED_PANEL,
        "Length of an analysis frame.",
        "the smallest power of two that is at least 30 ms",
    ),
    "hop_length": Option(
        ("--hop-length",),
        "SAMPLES",
        ADVANCED_PANEL,
        "Distance between frames; it must divide half the frame length.",
        "a quarter of the frame",
    ),
    "lookahead_ms": Option(
        ("--lookahead",),
        "MS",
        ENVELOPE_PANEL,
        "Time for which the gate is fully open before a sound.",
    ),
    "attack_ms": Option(
        ("--attack",),
        "MS",
        ENVELOPE_PANEL,
        "Duration of the fade-in, which ends where the lookahead begins.",
    ),
    "hold_ms": Option(
        ("--hold",),
        "MS",
        ENVELOPE_PANEL,
        "Time for which the gate stays fully open after a sound.",
    ),
    "release_ms": Option(
        ("--release",),
        "MS",
        ENVELOPE_PANEL,
        "Duration of the fade-out, which begins after the hold.",
    ),
    "range_db": Option(
        ("--range",),
        "DB|mute",
        MAIN_PANEL,
        "Gain of the closed gate: -24dB, or mute for silence.",
    ),
    "target_floor_db": Option(
        ("--target-floor",),
        "DBFS",
        ENVELOPE_PANEL,
        "Choose the range that brings the noise floor to this level, for example -62dB.",
        "none",
    ),
    "ratio": Option(
        ("--ratio",),
        "RATIO",
        ENVELOPE_PANEL,
        "Expand instead of gating: each dB below the threshold becomes this many dB, down to "
        "--range. Requires -t with a level or a method.",
        "inf, a gate",
    ),
    "knee_db": Option(
        ("--knee",),
        "DB",
        ENVELOPE_PANEL,
        "Apply the ratio gradually within this width around the threshold. Requires --ratio.",
        "0",
    ),
    "duck": Option(
        ("--duck",),
        "",
        ENVELOPE_PANEL,
        "Attenuate the recording by --range while the signal is above the threshold, instead of in "
        "the pauses.",
    ),
    "spectral": Option(
        ("--spectral",),
        "",
        MAIN_PANEL,
        "Reduce the noise in each frequency bin, also under the signal. The pauses are attenuated; "
        "to mute them, add --range mute.",
    ),
    "reduction_db": Option(
        ("--reduction",),
        "DB|mute",
        SPECTRAL_PANEL,
        "Maximum attenuation of a bin, such as 12dB. Beyond 16dB, bins under the signal are "
        "attenuated less. A smaller value sounds more natural.",
    ),
    "noise": Option(
        ("--noise",),
        "FILE|FROM-TO",
        SPECTRAL_PANEL,
        "Noise to learn from: a recording of the noise, or a span of this recording, such as "
        "0:00-0:02.5.",
        "learned from the pauses",
    ),
}


class TypedSettings(NamedTuple):
    """Settings of the gate that a command received."""

    settings: GateSettings
    preset: str
    """Name or file of the preset, as typed."""
    texts: Mapping[str, str | bool]
    """The options given in addition to the preset, by the name of the setting."""


PresetOption = Annotated[
    str,
    typer.Option(
        "--preset",
        "-p",
        metavar="NAME|FILE.toml",
        help=f"Set the defaults of the other options: {', '.join(PRESETS)}, your own preset, "
        "or a preset file. See the table below.",
        autocompletion=complete_presets,
        rich_help_panel=MAIN_PANEL,
    ),
]


def add_gate_options(*without: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that adds the gate options, except `without`, to a command.

    The command receives the parsed options as one argument, `typed`.
    """
    options = {name: option for name, option in GATE_OPTIONS.items() if name not in without}
    added = []
    for name, option in options.items():
        typer_option = typer.Option(
            *option.flags,
            metavar=option.metavar or None,
            help=option.help.replace("[", r"\["),  # rich would take it for markup
            rich_help_panel=option.panel,
            show_default=option.default or False,
            autocompletion=None if option.is_switch else complete_setting(name),
        )
        added.append(_make_parameter(option.parameter, typer_option, option.is_switch))
        if option.is_switch:
            off = typer.Option(f"--no-{option.key}", hidden=True)
            added.append(_make_parameter(option.off_parameter, off, is_switch=True))

    preset = inspect.Parameter(
        "preset", inspect.Parameter.KEYWORD_ONLY, default="voice", annotation=PresetOption
    )
    added.insert(1, preset)

    def build(**arguments: Any) -> TypedSettings:
        texts = _collect_texts(arguments)
        name = arguments["preset"]
        return TypedSettings(choose_preset(name, texts).parse(), name, texts)

    def add(command: Callable[..., None]) -> Callable[..., None]:
        command = replace_parameter(command, "typed", added, build)
        return order_by_panel(command, PANELS)

    return add


def _make_parameter(name: str, option: Any, is_switch: bool) -> inspect.Parameter:
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[bool | None if is_switch else str | None, option],
    )


def choose_typed_preset(arguments: Mapping[str, Any]) -> Preset:
    """Return the preset and the options that a command received; see `choose_preset`."""
    return choose_preset(arguments["preset"], _collect_texts(arguments))


def _collect_texts(arguments: Mapping[str, Any]) -> dict[str, str | bool]:
    """Return the options that were given, by the name of the setting."""
    texts = {
        name: False if arguments.get(option.off_parameter) else arguments[option.parameter]
        for name, option in GATE_OPTIONS.items()
        if option.parameter in arguments
    }
    return {name: text for name, text in texts.items() if text is not None}


def choose_preset(name: str, texts: Mapping[str, Any]) -> Preset:
    """Return a built-in or a user preset, overridden by the options in `texts`.

    Raises
    ------
    SettingsError
        If there is no such preset, or an option in its file is wrong.
    """
    preset = load_preset(name)
    if preset.source:
        preset.parse()  # The message quotes the file.
    return preset.override(texts)._replace(source="")
