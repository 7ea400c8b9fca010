"""Format results as lines of text; `tables` formats larger results."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from noisegate_cli.api.result_data import is_range_softened
from noisegate_cli.files.formats import usual_name
from noisegate_cli.gating.parsing import MUTE
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.terminal.display.advice import suggest_cutoff_remedies
from noisegate_cli.terminal.display.reasons import format_contrast, format_reason
from noisegate_cli.terminal.display.recording_lines import (
    format_bleed,
    format_key,
    format_segments,
    format_tracks,
)
from noisegate_cli.terminal.flags import to_flags
from noisegate_cli.terminal.options.words import format_noise_value
from noisegate_cli.text import (
    escape_unprintable,
    format_db,
    format_duration,
    format_level,
    format_time,
    pluralize,
    quote_path,
)

if TYPE_CHECKING:
    from noisegate_cli.api.gate_result import GateResult
    from noisegate_cli.files.audio_info import AudioInfo
    from noisegate_cli.gating.cutoff_report import CutoffReport


def format_gate_summary(result: "GateResult", preset: str = "voice") -> list[str]:
    """Return the lines that `ngate gate` prints as its summary, with a preset that is not voice."""
    speed = result.source.duration / max(result.seconds, 1e-9)
    lines = [
        *([] if preset.lower() == "voice" else [f"preset     {escape_unprintable(preset)}"]),
        _format_threshold(result),
        f"{_format_closed_share(result)} ({speed:.0f}× real time)",
        f"output     {quote_path(result.output.path)} ({format_sample_type(result.output)})",
    ]
    lines += format_tracks(result)
    lines += _format_gain(result)
    if result.settings.spectral != "off":
        lines += _format_noise(result)
    if result.bleed:
        lines += format_bleed(result.bleed, result.others)
    if is_never_open(result):
        lines.append("note       no level exceeds the threshold: the gate never opens")
    if result.cutoffs.count:
        lines += _format_cutoffs(result)
    if result.residue:
        lines.append(f"removed    {quote_path(result.residue)}")
    lines += format_segments(result)
    if result.delay_ms is not None:
        hold = result.settings.hold_ms
        lines.append(
            f"delay      at most {result.delay_ms:.0f} ms. To limit it, a hold of {hold:g} ms "
            "replaces --min-closed"
        )
    if note := _describe_subtype_change(result.source, result.output):
        lines.append(f"note       {note}")
    lines += [f"warning    {to_flags(sentence)}" for sentence in result.warnings]
    return lines


def format_short_summary(result: "GateResult") -> list[str]:
    """Return a line about one of several recordings, and a line for each warning."""
    figures = [
        f"closed {100 * result.statistics.closed_share:.1f}% of "
        f"{format_duration(result.source.duration)}",
        pluralize(result.statistics.openings, "opening"),
        *([format_cutoff_counts(result.cutoffs)] if result.cutoffs.count else []),
    ]
    line = f"{', '.join(figures)}, written to {quote_path(result.output.path)}"
    return [line, *(f"warning: {to_flags(sentence)}" for sentence in result.warnings)]


def _format_closed_share(result: "GateResult") -> str:
    """Return the share of the time in which the recording is attenuated, to begin a line."""
    share = f"{100 * result.statistics.closed_share:.1f}% of " + format_duration(
        result.source.duration
    )
    if result.settings.duck:
        return f"ducked     {share}"
    return f"closed     {share}, {pluralize(result.statistics.openings, 'opening')}"


def _format_threshold(result: "GateResult") -> str:
    """Return a line about the threshold and its origin."""
    if result.forced.segments is not None:
        return "applied    the given open segments"
    suggestion, adaptive = result.suggestion, result.settings.adaptive
    if suggestion is None:
        moving = ", follows the noise" if adaptive and result.threshold is not None else ""
        return f"threshold  {format_level(result.threshold or 0)}, as given{moving}"
    reason = format_reason(suggestion)
    if result.threshold is None:
        return f"automatic  {reason}"
    moving = " It follows the noise." if adaptive else ""
    return f"threshold  {format_level(result.threshold)}, {suggestion.method}. {reason}{moving}"


def _format_gain(result: "GateResult") -> Iterator[str]:
    """Yield lines about the attenuation of the gate, if it is not the one of the preset."""
    settings, suggestion, range_db = result.settings, result.suggestion, format_db(result.range_db)
    if settings.target_floor_db is not None and result.statistics.closed:
        reached = ": the pauses are already that quiet" if not result.range_db else ""
        yield f"range      {range_db}, for the target floor{reached}"
    if result.key:
        yield format_key(result.key)
    if settings.duck:
        yield _format_ducking(result)
    if settings.expands:
        yield f"expander   {_format_expander(result)}"
    if suggestion and is_range_softened(result.range_db, settings):
        contrast = format_contrast(suggestion.noise_floor_db, suggestion.active_db)
        yield (
            f"range      {range_db}, because signal and noise are only {contrast} apart; "
            "--range mute silences the pauses"
        )


def _format_ducking(result: "GateResult") -> str:
    """Return a line about the attenuation by ducking."""
    if not result.statistics.closed:
        reason = "" if result.threshold is None else "no level exceeds the threshold: "
        return f"note       {reason}nothing is attenuated"
    depth = "muted" if result.range_db == MUTE else f"{-result.range_db:g} dB down"
    what = "key" if result.key else "signal"
    return f"ducking    {depth} while the {what} is above the threshold"


def _format_expander(result: "GateResult") -> str:
    """Return the ratio, the knee and the range of an expander."""
    settings = result.settings
    knee = f", knee {settings.knee_db:g} dB" if settings.knee_db else ""
    limit = f", at most {-result.range_db:g} dB down" if result.range_db > MUTE else ""
    return f"ratio {settings.ratio:g}:1 below the threshold{knee}{limit}"


def _describe_subtype_change(source: "AudioInfo", output: "AudioInfo") -> str:
    """Return a note about a lossy change of the sample type, or an empty string."""
    if source.subtype == output.subtype:
        return ""
    if source.is_lossy and not output.is_lossy:
        return f"the input is {name_sample_type(source)}: the output contains the decoded samples"
    mantissa = {"FLOAT": 24, "DOUBLE": 53}
    capacity = mantissa.get(output.subtype, output.bit_depth)
    is_exact = mantissa.get(source.subtype, source.bit_depth) <= capacity
    if output.is_lossy:
        return f"{usual_name(output.format)} is lossy: the samples are not bit-identical"
    if not is_exact or (source.dtype.kind == "f" and output.dtype.kind == "i"):
        return f"the input is {source.subtype}: the output cannot keep all bits"
    return ""


def is_never_open(result: "GateResult") -> bool:
    """Return whether all levels of the recording are below the threshold."""
    is_gate = result.threshold is not None and not result.settings.duck
    return is_gate and not result.statistics.openings


def _format_noise(result: "GateResult") -> list[str]:
    """Return lines about the noise and the reduction of a spectral gate."""
    settings = result.settings
    if settings.masks_by_level:
        return ["bins       open where their level exceeds the threshold"]
    profiles = [noise for noise in result.noises if noise]
    lines = []
    if profiles:
        levels = " and ".join(f"{noise.level_db():.0f}" for noise in profiles)
        # The line about the threshold has the noise floor, which is another measure.
        level = "" if result.suggestion and profiles[0].source != "given" else f"{levels} dBFS, "
        sources = dict.fromkeys(
            _describe_noise_source(noise.source, settings) for noise in profiles
        )
        lines.append(f"noise      {level}{', or '.join(sources)}")
        lines.append(f"           reduced {_format_reduction(result)}")
    if len(profiles) < len(result.noises):
        where = " for one channel" if profiles else ""
        lines.append(
            f"note       no noise was learned{where}, so none was reduced: give it with "
            "--noise FROM-TO or --noise FILE"
        )
    return lines


def _format_reduction(result: "GateResult") -> str:
    """Return by how much a spectral gate reduces the noise, such as "to silence in each bin"."""
    from noisegate_cli.gating.spectral.wiener import limit_min_gain
    from noisegate_cli.samples import to_db

    settings = result.settings
    depth = f"by up to {settings.reduction_db:g} dB" if settings.bin_floor else "to silence"
    open_gain = settings.bin_floor if result.bleed else limit_min_gain(settings.bin_floor)
    if open_gain == settings.bin_floor:
        return f"{depth} in each bin"
    return f"{depth} in each bin, and by up to {-to_db(open_gain):.3g} dB under the signal"


def _describe_noise_source(source: str, settings: GateSettings) -> str:
    if source == "given":
        is_file = isinstance(settings.noise, str)
        noise = format_noise_value(settings.noise)
        return f"learned from {quote_path(noise) if is_file else noise}"
    if source == "pauses":
        return "learned from the pauses"
    return "estimated from the quietest frames of each bin, because there are no pauses"


def format_cutoff_counts(cutoffs: "CutoffReport") -> str:
    """Return the number of truncated decays and attacks as text."""
    counts = ((cutoffs.decays, "decay"), (cutoffs.attacks, "attack"))
    return (
        " and ".join(pluralize(number, thing) for number, thing in counts if number) + " truncated"
    )


def _format_cutoffs(result: "GateResult") -> list[str]:
    """Return lines with the positions of cut-offs and with settings that avoid them."""
    cutoffs = result.cutoffs
    worst = [
        f"{format_time(cutoff.time + result.offset_s)} ({cutoff.above_db:.0f} dB"
        f"{'' if number else ' above the pause'})"
        for number, cutoff in enumerate(cutoffs.worst)
    ]
    ellipsis = ", …" if cutoffs.count > len(worst) else ""
    remedies = suggest_cutoff_remedies(result)
    lines = [
        f"{pluralize(number, kind)} truncated"
        + (f": try {' or '.join(remedies[kind])}" if remedies[kind] else "")
        + (" or longer" if remedies[kind] and kind == "decay" else "")
        for kind, number in (("decay", cutoffs.decays), ("attack", cutoffs.attacks))
        if number
    ]
    or_else = "or " if remedies["decay"] or remedies["attack"] else ""
    lines += [
        f"{or_else}try {' or '.join(remedies[''])}",
        f"at {', '.join(worst)}{ellipsis}",
    ]
    if cutoffs.decays and result.forced.segments is not None:
        lines.append("to keep a decay, move the end of its segment in the labels")
    return [f"{'' if number else 'cut-offs':<11}{line}" for number, line in enumerate(lines)]


def format_sample_type(info: "AudioInfo") -> str:
    """Return the container format and the sample type of a recording as text."""
    return " ".join(dict.fromkeys((usual_name(info.format), name_sample_type(info))))


def name_sample_type(info: "AudioInfo") -> str:
    """Return the usual name of a sample type: "MP3", not the name that libsndfile has for it."""
    return usual_name(info.subtype)
