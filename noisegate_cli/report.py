"""Results in words for people and as JSON for programs; `tables` has what takes more than lines."""

import dataclasses
import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noisegate_cli.gating.settings import MUTE, PRESETS, GateSettings
from noisegate_cli.options import OPTIONS
from noisegate_cli.units import format_db, format_duration, format_level, format_time, shown

if TYPE_CHECKING:
    from noisegate_cli.batch.manifest import Entry
    from noisegate_cli.batch.terms import Report
    from noisegate_cli.formats import AudioInfo
    from noisegate_cli.gating.audit import ChopReport
    from noisegate_cli.gating.levels import LevelHistogram
    from noisegate_cli.gating.profile import NoiseProfile
    from noisegate_cli.process import AnalysisReport, GateResult

HISTOGRAM_ROWS = 16

LOW_AGREEMENT = 0.9
"""A level that does less of what the automatic gate does is a poor stand-in."""

HIGH_DRIFT_DB = 6.0
LITTLE_CLOSED = 0.01


def to_json(value: Any) -> str:
    """Return `value` as one line of JSON: what isn't a finite number is null."""
    import json

    return json.dumps(_plain(value), ensure_ascii=True, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.9g}") if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value).encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


def analysis_data(report: "AnalysisReport") -> dict[str, Any]:
    """Return an analysis as plain data."""
    info, levels, suggestion = report.info, report.levels, report.levels.suggestion
    threshold = suggestion.threshold
    return {
        "file": info.path,
        "duration_s": info.duration,
        "sample_rate": info.sample_rate,
        "channels": info.channels,
        "samples": levels.samples,
        "format": info.format,
        "subtype": info.subtype,
        "peak_db": levels.peak_db,
        "rms_db": levels.rms_db,
        "frames": levels.frames,
        "percentiles_db": levels.percentiles_db,
        "noise_floor_db": suggestion.noise_floor_db,
        "active_db": suggestion.active_db,
        "contrast_db": suggestion.contrast_db,
        "digital_silence_share": levels.silent_share,
        "histogram": _histogram_data(levels.histogram),
        "threshold": threshold,
        "threshold_db": level_db(threshold),
        "agreement": suggestion.agreement,
        "confidence": suggestion.confidence,
        "reason": suggestion.reason,
        "estimates_db": dict(suggestion.estimates_db),
        "drift_db": levels.drift_db,
        "closed_share": levels.closed_share,
        "openings_per_minute": levels.openings_per_minute,
        "sweep": [dataclasses.asdict(trial) for trial in levels.trials],
        "warnings": report.warnings,
        "advice": advice(report),
        "noises": _noises_data(levels.noises),
        "settings": dataclasses.asdict(report.settings),
        "command": gate_command(report) or None,
    }


def gate_data(result: "GateResult") -> dict[str, Any]:
    """Return what a gate did as plain data."""
    return {
        "file": result.source.path,
        "output": result.output.path,
        "residue": result.residue,
        "duration_s": result.source.duration,
        "sample_rate": result.source.sample_rate,
        "channels": result.source.channels,
        "subtype": result.output.subtype,
        "threshold": result.threshold,
        "threshold_db": level_db(result.threshold),
        "method": result.suggestion.method if result.suggestion else None,
        "reason": result.suggestion.reason if result.suggestion else None,
        "noise_floor_db": result.suggestion.noise_floor_db if result.suggestion else None,
        "active_db": result.suggestion.active_db if result.suggestion else None,
        "confidence": result.suggestion.confidence if result.suggestion else None,
        "closed_share": result.statistics.closed_share,
        "openings": result.statistics.openings,
        "chops": dataclasses.asdict(result.chops),
        "noises": _noises_data(result.noises),
        "settings": dataclasses.asdict(result.settings),
        "delay_ms": result.delay_ms,
        "warnings": result.warnings,
        "seconds": result.seconds,
    }


def settled_data(file: Path, output: Path, entry: "Entry") -> dict[str, Any]:
    """Return what became of one recording of a batch as plain data."""
    settled: dict[str, Any] = {
        "status": entry["status"],
        "file": file,
        "output": output / entry["output"],
    }
    settled |= {"error": entry.get("error")}
    if entry["status"] in ("skipped", "to do"):
        settled |= {"why": entry["why"]}
    elif "why" in entry:
        settled |= {"error": entry["why"]}
    settled |= entry["result"]
    return settled | {"settings": entry.get("settings")}


def gate_summary(result: "GateResult") -> list[str]:
    """Return the few lines that `ngate gate` says when it is done."""
    found = result.suggestion
    if found is None:
        opening = f"threshold  {format_level(result.threshold or 0)}, as given"
    elif result.threshold is None:
        opening = f"automatic  {found.reason}"
    else:
        opening = f"threshold  {format_level(result.threshold)}, {found.method}. {found.reason}"
    speed = result.source.duration / max(result.seconds, 1e-9)
    openings = _counted(result.statistics.openings, "opening")
    lines = [
        opening,
        f"closed     {100 * result.statistics.closed_share:.1f} % of "
        f"{format_duration(result.source.duration)}, {openings} "
        f"({speed:.0f} × real time)",
        f"output     {shown(result.output.path)} ({sample_type(result.output)})",
    ]
    if result.settings.adaptive and result.threshold is not None:
        lines[0] += " It moves with the noise." if found else ", moving with the noise"
    if result.settings.target_floor_db is not None and result.statistics.closed:
        reached = ": the pauses are that quiet already" if not result.settings.range_db else ""
        range_db = format_db(result.settings.range_db)
        lines.append(f"range      {range_db}, for the target floor{reached}")
    if result.settings.spectral != "off":
        lines += _noise_lines(result)
    if nothing_opened(result):
        lines.append("note       nothing rises above the threshold: all of it is turned down")
    if result.chops.count:
        lines += _chops_lines(result)
    if result.residue:
        lines.append(f"residue    {shown(result.residue)}")
    if result.delay_ms is not None:
        hold = result.settings.hold_ms
        lines.append(
            f"delay      at most {result.delay_ms:.0f} ms; so that it is no more, hold {hold:g} ms "
            "takes the place of min closed"
        )
    if note := _other_type(result.source, result.output):
        lines.append(f"note       {note}")
    lines += [f"warning    {sentence}" for sentence in result.warnings]
    return lines


def _other_type(source: "AudioInfo", output: "AudioInfo") -> str:
    """Return what to say where the output is of another sample type; empty if nothing is lost."""
    if source.subtype == output.subtype:
        return ""
    if source.is_coded and not output.is_coded:
        return f"the input is {source.subtype}: the output holds what that decodes to"
    mantissa = {"FLOAT": 24, "DOUBLE": 53}
    room = mantissa.get(output.subtype, output.bits)
    fits = mantissa.get(source.subtype, source.bits) <= room
    if output.is_coded or not fits or (source.dtype.kind == "f" and output.dtype.kind == "i"):
        return f"the input is {source.subtype}: not every bit can be kept"
    return ""


def nothing_opened(result: "GateResult") -> bool:
    """Return whether a threshold lies above all that there is."""
    return result.threshold is not None and not result.statistics.openings


def _noise_lines(result: "GateResult") -> list[str]:
    """Return what a spectral gate went by, and how far it went."""
    settings = result.settings
    if settings.masks_by_level:
        return ["bins       open where a tone is above the threshold"]
    known = [noise for noise in result.noises if noise]
    lines = []
    if known:
        levels = " and ".join(f"{noise.level_db():.0f}" for noise in known)
        sources = dict.fromkeys(_noise_source(noise.source, settings) for noise in known)
        depth = f"up to {settings.reduction_db:g} dB" if settings.bin_floor else "all the way"
        lines.append(f"noise      {levels} dBFS, {', or '.join(sources)}")
        lines.append(f"           {depth} down in each bin")
    if len(known) < len(result.noises):
        where = "in a channel nothing" if known else "nothing"
        lines.append(
            f"note       no noise could be learnt, and {where} was taken away: show it with "
            "--noise FROM-TO or --noise FILE"
        )
    return lines


def _noise_source(source: str, settings: GateSettings) -> str:
    if source == "given":
        return f"as in {shown(_typed_noise(settings.noise))}"
    if source == "pauses":
        return "learnt from the pauses"
    return "guessed from what is quietest in each bin, as no pause was found"


def _typed_noise(noise: Any) -> str:
    return "-".join(map(format_time, noise)) if isinstance(noise, tuple) else str(noise)


def chops_counted(chops: "ChopReport") -> str:
    """Return how often a gate cut sounds."""
    kinds = ((chops.decays, "decay"), (chops.attacks, "attack"))
    return " and ".join(_counted(number, kind) for number, kind in kinds if number) + " cut"


def _chops_lines(result: "GateResult") -> list[str]:
    """Return where sounds were cut, and what to do about it."""
    chops = result.chops
    worst = [f"{format_time(chop.time)} ({chop.above_db:.0f} dB)" for chop in chops.worst]
    more = ", …" if chops.count > len(worst) else ""
    hints = ["a lower threshold"] if result.threshold is not None else []
    hints += ["--hold 300"] if chops.decays else []
    deepest = result.settings.pause_reduction_db and not result.settings.range_db
    hints += ["--reduction 12dB" if deepest else "--range -12dB"]
    return [
        f"chops      {chops_counted(chops)}: try {' or '.join(hints)}",
        f"           at {', '.join(worst)}{more}",
    ]


def advice(report: "AnalysisReport") -> list[str]:
    """Return what the user should know before gating, in plain sentences."""
    levels, suggestion = report.levels, report.levels.suggestion
    told = []
    if suggestion.agreement is not None and suggestion.agreement < LOW_AGREEMENT:
        told.append(
            f"No level does what the automatic gate does, the best one agrees with it on "
            f"{100 * suggestion.agreement:.0f} %: leave out -t"
            + ("." if report.settings.key_hz else ", or try --key 250-4000.")
        )
    if levels.drift_db > HIGH_DRIFT_DB:
        told.append(
            f"The noise moves by {levels.drift_db:.0f} dB within the recording: without -t the "
            "gate follows it, one level can't."
        )
    if levels.peak_db >= 0:
        told.append("Peaks reach full scale: the recording may be clipped.")
    if levels.trials and levels.closed_share < LITTLE_CLOSED:
        told.append("There is next to no pause to silence.")
    return told


def gate_command(report: "AnalysisReport") -> str:
    """Return the `ngate gate` line that an analysis suggests; empty if it suggests none."""
    import shlex

    suggestion = report.levels.suggestion
    if suggestion.threshold is None:
        return ""
    spectral = report.settings.spectral
    preset = "hard" if spectral == "mask" else "voice"
    changes = report.settings.changes_from(GateSettings.preset(preset, spectral=spectral))
    options = ["--preset=hard"] if preset == "hard" else []
    options += ["--spectral"] if spectral != "off" else []
    options += [_typed(name, value) for name, value in changes.items()]
    path, level = str(report.info.path), ["-t", f"{suggestion.threshold:.3g}"]
    if suggestion.agreement is not None and suggestion.agreement < LOW_AGREEMENT:
        level = []
    last = [*level, "--", path] if path.startswith("-") else [path, *level]
    return shlex.join(["ngate", "gate", *options, *last])


def batch_errors(report: "Report") -> list[str]:
    """Return why recordings failed, one a line, not too many."""
    errors = list(report.errors)
    if report.failed > len(errors):
        more = report.failed - len(errors)
        errors.append(f"{more} more recordings failed: --report FILE lists them all")
    return errors


def batch_left(report: "Report") -> str:
    """Return how far a batch got that was stopped, and how to go on."""
    dealt_with = report.total - report.to_do
    return (
        f"{dealt_with} of {report.total} recordings are dealt with: the same command does the rest"
    )


def presets_text() -> str:
    """Return the presets and their values, one a line, for `--help`."""
    lines = []
    for name, p in PRESETS.items():
        closed = "mute" if p.range_db == MUTE else f"{p.range_db:g}dB"
        depth = f"{p.reduction_db:g} dB" if p.bin_floor else "mute"
        lines.append(
            f"{name}: hysteresis {p.hysteresis_db:g} dB, lookahead {p.lookahead_ms:g} ms, "
            f"attack {p.attack_ms:g} ms, hold {p.hold_ms:g} ms, release {p.release_ms:g} ms, "
            f"range {closed}, reduction {depth}, min open {p.min_open_ms:g} ms, "
            f"min closed {p.min_closed_ms:g} ms"
        )
    lines[-1] += " (the plain mask of frames above the threshold)"
    return "\n".join(lines)


def _typed(name: str, value: Any) -> str:
    """Return a setting as one types it."""
    option = OPTIONS[name].flags[0]
    if value is True:
        return option
    if name == "noise":
        value = _typed_noise(value)
    elif isinstance(value, tuple):
        value = "-".join(f"{hz:g}" for hz in value)
    elif value in (MUTE, -MUTE):
        value = "mute"
    elif name in ("range_db", "target_floor_db"):
        value = f"{value:g}dB"
    return f"{option}={value:g}" if isinstance(value, float) else f"{option}={value}"


def level_db(linear: float | None) -> float:
    """Return a level in dBFS; minus infinity where there is none."""
    return 20 * math.log10(linear) if linear else -math.inf


def sample_type(info: "AudioInfo") -> str:
    """Return the format and the sample type of a recording."""
    return f"{info.format} {info.subtype}"


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("" if number == 1 else "s")


def histogram_rows(histogram: "LevelHistogram") -> list[tuple[float, float, int]]:
    """Return (from dB, to dB, frames), loudest first, in round steps that fill the rows."""
    import numpy as np

    from noisegate_cli.gating.levels import BIN_DB, FLOOR_DB

    low = max(histogram.percentile(0.5), histogram.percentile(100) - 90)
    high = histogram.percentile(100)
    step = next(s for s in (1, 2, 3, 6, 10) if (high - low) / s < HISTOGRAM_ROWS)
    edges = np.arange(math.floor(low / step) * step, high + step, step)
    bins = np.clip(np.rint((edges - FLOOR_DB) / BIN_DB).astype(int), 0, len(histogram.counts))
    bins[0] = 0  # what little lies below the lowest row is counted in it
    counts = [int(histogram.counts[a:b].sum()) for a, b in pairwise(bins)]
    return [(float(a), float(a + step), n) for a, n in zip(edges, counts, strict=False)][::-1]


def noise_bands(noise: "NoiseProfile", parts: int) -> list[tuple[float, float, float]]:
    """Return (from Hz, to Hz, dBFS) of a noise in so many bands an octave, from 22 Hz on."""
    bands = []
    edge = 2.0 ** (-5.5)
    while 1000 * edge < noise.highest_hz:
        low, high = 1000 * edge, min(noise.highest_hz, 1000 * edge * 2 ** (1 / parts))
        bands.append((low, high, noise.level_db(low, high)))
        edge *= 2 ** (1 / parts)
    return bands


def _noises_data(noises: "Sequence[NoiseProfile | None]") -> list[dict[str, Any] | None]:
    return [
        {
            "source": noise.source,
            "level_db": noise.level_db(),
            "bands": [
                {"from_hz": low, "to_hz": high, "db": db} for low, high, db in noise_bands(noise, 3)
            ],
        }
        if noise
        else None
        for noise in noises
    ]


def _histogram_data(histogram: "LevelHistogram") -> list[dict[str, Any]]:
    if not histogram.sounding:
        return []
    return [{"from_db": a, "to_db": b, "frames": n} for a, b, n in histogram_rows(histogram)]
