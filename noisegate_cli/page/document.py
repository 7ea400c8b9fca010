"""Make the page: read the recording, and put its data into the template."""

import hashlib
import html
import json
from base64 import b64encode
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noisegate_cli.api.analysis_report import AnalysisReport
from noisegate_cli.api.pictures import display_name
from noisegate_cli.api.progress import ProgressCallback, scale_progress
from noisegate_cli.errors import SettingsError
from noisegate_cli.files.inputs.reader import AudioReader, open_reader
from noisegate_cli.files.outputs.document import check_document, write_document
from noisegate_cli.gating.detection.signal_model import CLOSE_BELOW, OPEN_ABOVE
from noisegate_cli.gating.settings import PRESETS, GateSettings
from noisegate_cli.json_values import to_json_value
from noisegate_cli.page.codes import (
    LEVEL_OFFSET_DB,
    LEVEL_STEP_DB,
    SCORE_STEP,
    SPECTROGRAM_STEPS,
    pack_array,
)
from noisegate_cli.page.command import CommandWords
from noisegate_cli.page.details import DetailCollector
from noisegate_cli.page.moments import choose_segments
from noisegate_cli.page.sound import Sound, choose_max_whole_s, encode_segments
from noisegate_cli.page.survey import Survey, survey_recording
from noisegate_cli.text import escape_unprintable

if TYPE_CHECKING:
    from noisegate_cli.files.raw_format import RawFormat

SCRIPTS = (
    *("gate.js", "expander.js", "command.js", "sound.js"),
    *("elements.js", "spectrogram.js", "picture.js", "overview.js"),
    *("panels.js", "inputs.js", "pointer.js", "page.js", "main.js"),
)
"""Scripts of the page, in the order in which they depend on each other."""

EXTENSIONS = ("html", "htm")
"""File name extensions of a page."""

CONTROLS = (
    "hysteresis_db",
    "min_open_ms",
    "min_closed_ms",
    "lookahead_ms",
    "attack_ms",
    "hold_ms",
    "release_ms",
    "range_db",
    "ratio",
    "knee_db",
)
"""Settings that the page changes, in addition to the threshold."""

SURVEY_SHARE = 0.9
"""Typical share of the work that the measurements take."""


def write_page(
    path: Path,
    output: Path,
    settings: GateSettings,
    command: CommandWords,
    *,
    raw: "RawFormat | None" = None,
    track: int | None = None,
    force: bool = False,
    progress: ProgressCallback = lambda _: None,
) -> AnalysisReport:
    """Write a page to listen to the recording at `path` and adjust the gate.

    The page plays the gate without a spectral gate and without exclusion of bleed between channels.

    Parameters
    ----------
    path
        The recording; `"-"` is standard input.
    output
        The page, an HTML file without references to other files.
    settings
        Settings with which the page begins.
    command
        Words of the command line that the page shows.
    raw
        Sample format of an input without a header.
    track
        Number of the audio track, from 1; None for the main one.
    force
        Whether to overwrite an existing page.
    progress
        Called with the finished share of the work, 0 to 1.

    Returns
    -------
    AnalysisReport
        The same report as from `analyze_file`.

    Raises
    ------
    AudioError
        If the recording cannot be read or gated, or is too long for a page.
    OutputError
        If the page cannot be written, already exists, or is a file that is read.
    SettingsError
        If the settings duck, which a page cannot preview.
    """
    if settings.duck:
        raise SettingsError(
            "a page does not support ducking, because keep= and cut= do not: omit duck=True"
        )
    inputs = {"the input": path}
    if settings.noise_file:
        inputs["the recording of the noise"] = Path(settings.noise_file)
    check_document(output, "page", EXTENSIONS, inputs, force)
    with open_reader(path, raw, zero_nonfinite=settings.zero_nonfinite, track=track) as reader:
        assert isinstance(reader, AudioReader)  # because streaming is not allowed
        survey = survey_recording(reader, settings, scale_progress(progress, 0, SURVEY_SHARE))
        details = DetailCollector(survey)
        sounds = _read_sounds(reader, survey, details)
    data = build_page_data(survey, sounds, details, command)
    write_document(output, build_document(data).encode(), force)
    progress(1.0)
    return survey.analysis


def _read_sounds(reader: AudioReader, survey: Survey, details: DetailCollector) -> list[Sound]:
    info = survey.analysis.info
    segments = choose_segments(survey.moments, survey.duration_s, choose_max_whole_s(info.channels))
    if not info.samples:
        return []
    with reader.reopen() as again:
        return list(encode_segments(again.blocks(), info, segments, details.watch))


def build_document(data: dict[str, Any]) -> str:
    """Return the HTML text of the page with this data.

    Scripts and styles are allowed by their hashes only, so that nothing else in the page can run.
    The data is JSON without `<`, which cannot end its element.
    """
    folder = files("noisegate_cli.page")
    style, script, template = (
        "\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in names)
        for names in (["page.css"], SCRIPTS, ["template.html"])
    )
    script = f'"use strict";\n(() => {{\n{script}\n}})();\n'
    parts = {
        "TITLE": html.escape(f"{data['name']} – ngate"),
        "STYLE": style,
        "STYLE_HASH": _hash(style),
        "SCRIPT": script,
        "SCRIPT_HASH": _hash(script),
        "DATA": json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
    }
    pieces = template.split("%%")
    return "".join(parts[piece] if index % 2 else piece for index, piece in enumerate(pieces))


def _hash(text: str) -> str:
    return "sha256-" + b64encode(hashlib.sha256(text.encode()).digest()).decode()


def build_page_data(
    survey: Survey, sounds: list[Sound], details: DetailCollector, command: CommandWords
) -> dict[str, Any]:
    """Return all that the scripts of the page need, as JSON-compatible data."""
    info, timing = survey.analysis.info, survey.timing
    settings = survey.analysis.settings
    data = {
        "name": escape_unprintable(display_name(info.path)),
        "sample_rate": info.sample_rate,
        "channels": info.channels,
        "samples": info.samples,
        "offset_s": info.offset_s,
        "frames": len(survey.levels),
        "gates": survey.levels.shape[1],
        "frame_length": timing.frame_length,
        "hop_length": timing.hop_length,
        "level_step_db": LEVEL_STEP_DB,
        "level_offset_db": LEVEL_OFFSET_DB,
        "score_step": SCORE_STEP,
        "open_above": OPEN_ABOVE,
        "close_below": CLOSE_BELOW,
        "settings": _controls(settings, survey.range_db)
        | {
            "detector": "level" if survey.uses_level else "auto",
            "threshold_db": survey.threshold_db,
            "adaptive": survey.uses_level and settings.adaptive,
        },
        "drift_db": survey.drift.drift_db.round(3),
        "drift_step": survey.drift.step,
        "presets": {
            name: _controls(preset, preset.closed_range_db)
            for name in PRESETS
            for preset in [GateSettings.preset(name, spectral=settings.spectral != "off")]
        },
        "moments": survey.moments,
        "unit": survey.unit,
        "command": command,
        "peak_span": survey.peak_span,
        "spectrogram_column": survey.spectrogram_column,
        "spectrogram_bands": survey.spectrogram.shape[1],
        "spectrogram_steps": SPECTROGRAM_STEPS,
        "spectrogram_edges_hz": survey.spectrogram_edges_hz.round(1),
        "sounds": sounds,
        "levels": pack_array(survey.levels.T),
        "scores": pack_array(survey.scores.T),
        "peaks": pack_array(survey.peaks),
        "spectrogram": pack_array(survey.spectrogram),
        "details": list(map(pack_array, details.spectrograms)),
        "detail_column": details.column,
    }
    value: dict[str, Any] = to_json_value(data)
    return value


def _controls(settings: GateSettings, range_db: float) -> dict[str, float]:
    return {name: getattr(settings, name) for name in CONTROLS} | {"range_db": round(range_db, 1)}
