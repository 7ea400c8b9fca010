"""Learn which sounds of a recording of speech are events, such as keys and doors.

To the signal model, all that is louder than the noise is signal. In a recording of speech, most of
it is near a voiced sound, and what is not is an event. The frames of events become a second class
of noise, and the signal is learnt again without them. Where little is near a voiced sound, the
recording contains something else: whispers, birds, drums. Then nothing changes.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.detection.band_levels import SCORE_SMOOTHING_MS, BandLevelExtractor
from noisegate_cli.gating.detection.evidence import Evidence
from noisegate_cli.gating.detection.gaussian import SIGNAL_PRIOR_DB, ShrunkGaussian
from noisegate_cli.gating.detection.signal_model import (
    CLOSE_BELOW,
    MIN_CLASS_FRAMES,
    OPEN_ABOVE,
    SignalModel,
)
from noisegate_cli.gating.frames.band_power import BandPowerArray
from noisegate_cli.gating.frames.running_mean import compute_running_mean

MIN_VOICE_SHARE = 0.6
"""Least share of the open frames near a voiced sound in speech: it has 0.93 to 1, and 0.66 to 0.86
with many events; whispers, birds and drums have 0 to 0.51."""

MIN_VOICED_SHARE = 0.3
"""Least share of voiced frames in speech: it has 0.39 to 0.83, and toads and birds have at most
0.28 near the moments in which they resemble a voice."""

MIN_EVENT_FRAMES = 15
"""Fewest frames of events from which a distribution is fitted."""

MAX_LOST_SHARE = 0.02
"""Events that resemble speech do not become a class: it would close on a larger share of the speech
near voices."""

EVENT_PRIOR_DB = 6.0
"""Standard deviation of the prior for events."""


def learn_events(
    model: SignalModel,
    extractor: BandLevelExtractor,
    densities: BandPowerArray,
    level: NDArray[np.float64],
    distance_s: NDArray[np.float64],
    max_distance_s: float,
    evidence: Evidence,
) -> SignalModel:
    """Return the model of one gate with a class of events, if the recording contains speech.

    Parameters
    ----------
    model
        Model that was learnt from the same frames.
    extractor
        Extractor of the powers.
    densities
        Powers per Hz, shaped (frames, bands).
    level
        Level of each frame.
    distance_s
        Distance of each frame from the nearest voice, in seconds.
    max_distance_s
        Greatest distance from a voice that belongs to speech.
    evidence
        Term of the score that the model receives if the recording contains speech.
    """
    if model.signal is None or model.noise is None:
        return model
    levels = compute_running_mean(model.levels(densities), extractor.level_smoothing_frames)
    scores = compute_running_mean(model.score(levels), extractor.frames(SCORE_SMOOTHING_MS))
    is_open = (scores > OPEN_ABOVE) & (level > 0)
    is_near = distance_s <= max_distance_s
    is_speech, is_event = is_open & is_near, is_open & ~is_near
    voiced = np.count_nonzero(is_speech & (distance_s == 0))
    speech = np.count_nonzero(is_speech)
    if speech < MIN_CLASS_FRAMES or voiced < MIN_VOICED_SHARE * speech:
        return model
    if speech < MIN_VOICE_SHARE * np.count_nonzero(is_open):
        return model
    model = replace(model, evidence=evidence)
    if np.count_nonzero(is_event) < MIN_EVENT_FRAMES:
        return model
    with_events = replace(
        model,
        signal=ShrunkGaussian.fit(levels[is_speech], SIGNAL_PRIOR_DB),
        events=ShrunkGaussian.fit(levels[is_event], EVENT_PRIOR_DB),
    )
    scores = compute_running_mean(with_events.score(levels), extractor.frames(SCORE_SMOOTHING_MS))
    lost = np.count_nonzero(is_speech & (scores <= CLOSE_BELOW))
    return model if lost > MAX_LOST_SHARE * speech else with_events
