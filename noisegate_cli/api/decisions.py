"""The decision for the gate of a recording, from a first pass if the settings need one."""

from typing import TYPE_CHECKING

from noisegate_cli.api.progress import FIRST_PASS_SHARE, ProgressCallback, scale_progress
from noisegate_cli.api.sources import Source
from noisegate_cli.errors import SettingsError
from noisegate_cli.gating.decision import GateDecision
from noisegate_cli.gating.forced import NOT_FORCED, ForcedSegments
from noisegate_cli.gating.settings import GateSettings

if TYPE_CHECKING:
    from noisegate_cli.api.other_tracks import OtherTracks
    from noisegate_cli.gating.noise_profile import NoiseProfiles


def decide(
    source: Source,
    settings: GateSettings,
    progress: ProgressCallback,
    *,
    noises: "NoiseProfiles" = (),
    forced: ForcedSegments = NOT_FORCED,
    others: "OtherTracks | None" = None,
    key: Source | None = None,
) -> tuple[GateDecision, ProgressCallback]:
    """Return the decision for the gate, and the progress of the pass that follows.

    Parameters
    ----------
    source
        The recording. It is not read if the settings need no first pass.
    settings
        Settings of the gate.
    progress
        Called with the finished share of the work.
    noises
        Noise profiles that are known; empty if they are measured in a span of the recording or
        learned.
    forced
        Segments in which the gate is open or closed.
    others
        Other tracks, which are aligned with the recording.
    key
        Another recording that opens the gate.
    """
    if not noises and settings.noise_span is not None:
        from noisegate_cli.api.noise_input import measure_noise_span

        noises = measure_noise_span(source, settings)
    first_pass = scale_progress(progress, 0.0, FIRST_PASS_SHARE)
    rest = scale_progress(progress, FIRST_PASS_SHARE, 1.0)
    if key is not None:
        from noisegate_cli.api.key_input import decide_by_key

        if others:
            raise SettingsError(
                "the bleed in a key= is not excluded by against=: gate the key against the other "
                "tracks first, and give the result as key="
            )
        return decide_by_key(source, key, settings, forced, first_pass), rest
    decision = GateDecision.from_settings(settings, noises, forced)
    if decision is not None and not others:
        return decision, progress
    from noisegate_cli.api.first_pass import measure

    analyzer = measure(source, settings, first_pass, noises=noises, others=others, reports=False)
    decision = analyzer.decide().force(forced)
    if decision.bleed:
        from noisegate_cli.api.other_tracks import check_bleed

        with source.name_in_errors():
            check_bleed(decision.bleed, others)
    return decision, rest
