"""Format results as lines of text; `tables` formats larger results."""

import math
from typing import TYPE_CHECKING

from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.terminal.advice import (
    format_noise_value,
    is_softened,
    suggest_chop_remedies,
)
from noisegate_cli.terminal.flags import to_flags
from noisegate_cli.terminal.reasons import format_reason
from noisegate_cli.terminal.stretches import format_stretches
from noisegate_cli.text import format_db, format_duration, format_level, format_time, quote_path

if TYPE_CHECKING:
    from noisegate_cli.api.recordings import GateResult
    from noisegate_cli.batch.interface import BatchReport
    from noisegate_cli.files.formats import AudioInfo
    from noisegate_cli.gating.chops import ChopReport


def format_gate_summary(result: "GateResult") -> list[str]:
    """Return the lines that `ngate gate` prints as its summary."""
    speed = result.source.duration / max(result.seconds, 1e-9)
    openings = _pluralize(result.statistics.openings, "opening")
    lines = [
        _format_threshold(result),
        f"closed     {100 * result.statistics.closed_share:.1f} % of "
        f"{format_duration(result.source.duration)}, {openings} "
        f"({speed:.0f} × real time)",
        f"output     {quote_path(result.output.path)} ({format_sample_type(result.output)})",
    ]
    if result.settings.target_floor_db is not None and result.statistics.closed:
        reached = ": the pauses are that quiet already" if not result.range_db else ""
        range_db = format_db(result.range_db)
        lines.append(f"range      {range_db}, for the target floor{reached}")
    if result.suggestion and is_softened(result.range_db, result.settings):
        contrast = f"{result.suggestion.contrast_db:.0f} dB"
        lines.append(
            f"range      {format_db(result.range_db)}, as signal and noise are only {contrast} "
            "apart; --range mute silences the pauses"
        )
    if result.settings.spectral != "off":
        lines += _format_noise(result)
    if is_never_open(result):
        lines.append("note       nothing rises above the threshold: all of it is turned down")
    if result.chops.count:
        lines += _format_chops(result)
    if result.residue:
        lines.append(f"residue    {quote_path(result.residue)}")
    lines += format_stretches(result)
    if result.delay_ms is not None:
        hold = result.settings.hold_ms
        lines.append(
            f"delay      at most {result.delay_ms:.0f} ms; so that it is no more, hold {hold:g} ms "
            "takes the place of min closed"
        )
    if note := _describe_subtype_change(result.source, result.output):
        lines.append(f"note       {note}")
    lines += [f"warning    {to_flags(sentence)}" for sentence in result.warnings]
    return lines


def _format_threshold(result: "GateResult") -> str:
    """Return a line about the threshold and its origin."""
    if result.forced.segments is not None:
        return "applied    the open stretches that are given"
    suggestion, adaptive = result.suggestion, result.settings.adaptive
    if suggestion is None:
        moving = ", moving with the noise" if adaptive and result.threshold is not None else ""
        return f"threshold  {format_level(result.threshold or 0)}, as given{moving}"
    reason = format_reason(suggestion)
    if result.threshold is None:
        return f"automatic  {reason}"
    moving = " It moves with the noise." if adaptive else ""
    return f"threshold  {format_level(result.threshold)}, {suggestion.method}. {reason}{moving}"


def _describe_subtype_change(source: "AudioInfo", output: "AudioInfo") -> str:
    """Return a note about a lossy change of the sample type, or an empty string."""
    if source.subtype == output.subtype:
        return ""
    if source.is_lossy and not output.is_lossy:
        return f"the input is {source.subtype}: the output holds what that decodes to"
    mantissa = {"FLOAT": 24, "DOUBLE": 53}
    capacity = mantissa.get(output.subtype, output.bit_depth)
    is_exact = mantissa.get(source.subtype, source.bit_depth) <= capacity
    if output.is_lossy or not is_exact or (source.dtype.kind == "f" and output.dtype.kind == "i"):
        return f"the input is {source.subtype}: not every bit can be kept"
    return ""


def is_never_open(result: "GateResult") -> bool:
    """Return whether all levels of the recording are below the threshold."""
    return result.threshold is not None and not result.statistics.openings


def _format_noise(result: "GateResult") -> list[str]:
    """Return lines about the noise and the reduction of a spectral gate."""
    settings = result.settings
    if settings.masks_by_level:
        return ["bins       open where a tone is above the threshold"]
    profiles = [noise for noise in result.noises if noise]
    lines = []
    if profiles:
        levels = " and ".join(f"{noise.level_db():.0f}" for noise in profiles)
        sources = dict.fromkeys(
            _describe_noise_source(noise.source, settings) for noise in profiles
        )
        depth = f"up to {settings.reduction_db:g} dB" if settings.bin_floor else "all the way"
        lines.append(f"noise      {levels} dBFS, {', or '.join(sources)}")
        lines.append(f"           {depth} down in each bin")
    if len(profiles) < len(result.noises):
        where = "in a channel nothing" if profiles else "nothing"
        lines.append(
            f"note       no noise could be learnt, and {where} was taken away: show it with "
            "--noise FROM-TO or --noise FILE"
        )
    return lines


def _describe_noise_source(source: str, settings: GateSettings) -> str:
    if source == "given":
        return f"as in {quote_path(format_noise_value(settings.noise))}"
    if source == "pauses":
        return "learnt from the pauses"
    return "guessed from what is quietest in each bin, as no pause was found"


def format_chop_counts(chops: "ChopReport") -> str:
    """Return the number of cut decays and attacks as text."""
    counts = ((chops.decays, "decay"), (chops.attacks, "attack"))
    return " and ".join(_pluralize(number, thing) for number, thing in counts if number) + " cut"


def _format_chops(result: "GateResult") -> list[str]:
    """Return lines with the positions of cut sounds and with settings that avoid the cuts."""
    chops = result.chops
    worst = [f"{format_time(chop.time)} ({chop.above_db:.0f} dB)" for chop in chops.worst]
    ellipsis = ", …" if chops.count > len(worst) else ""
    hints = " or ".join(suggest_chop_remedies(result))
    return [
        f"chops      {format_chop_counts(chops)}: try {hints}",
        f"           at {', '.join(worst)}{ellipsis}",
    ]


def format_batch_errors(report: "BatchReport") -> list[str]:
    """Return the first error messages of a batch, one per line."""
    errors = list(report.errors)
    if report.failed > len(errors):
        remaining = report.failed - len(errors)
        errors.append(f"{remaining} more recordings failed: --report FILE lists them all")
    return errors


def format_batch_remainder(report: "BatchReport") -> str:
    """Return the progress of a stopped batch and a hint how to continue it."""
    processed = report.total - report.to_do
    return (
        f"{processed} of {report.total} recordings are dealt with: the same command does the rest"
    )


def level_db(linear: float | None) -> float:
    """Return a linear level in dBFS; minus infinity for 0 or None."""
    return 20 * math.log10(linear) if linear else -math.inf


def format_sample_type(info: "AudioInfo") -> str:
    """Return the container format and the subtype of a recording as text."""
    return f"{info.format} {info.subtype}"


def _pluralize(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("" if number == 1 else "s")
