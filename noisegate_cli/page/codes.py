"""Integers that carry levels, scores and spectrograms to the page.

The page compares codes with the code of a threshold. Codes are rounded up, so that the comparison
is exact for every threshold that is a whole number of steps: x > t is ⌈x⌉ > t for an integer t.
"""

import base64
import math
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisegate_cli.gating.frames.levels import RmsLevels
from noisegate_cli.gating.frames.peaks import Peaks
from noisegate_cli.gating.frames.spectrogram import MIN_POWER, BandLevels
from noisegate_cli.gating.gain.mask import DetectorValues
from noisegate_cli.samples import to_db

LEVEL_STEP_DB, LEVEL_OFFSET_DB = 0.005, -200.0
"""Levels have 16 bits: from −200 to 127 dBFS. The code 0 is digital silence."""

SCORE_STEP, MAX_SCORE_CODE = 0.01, 32767
"""Scores have 16 bits and a sign: ±327, and the extremes stand for infinite scores."""

SPECTROGRAM_DEPTH_DB, SPECTROGRAM_STEPS = 80.0, 40
"""Range of the spectrogram below its loudest cell, and number of its shades."""

MIN_LOUDEST_DB = 10 * math.log10(MIN_POWER) + SPECTROGRAM_DEPTH_DB
"""Lowest level of the last shade, so that digital silence always has the first one."""


def encode_levels(levels: RmsLevels) -> NDArray[np.uint16]:
    """Return the codes of linear RMS levels.

    Examples
    --------
    >>> encode_levels(np.array([0.0, 0.1, 1.0]))
    array([    0, 36000, 40000], dtype=uint16)
    """
    codes = _ceil_steps((to_db(np.maximum(levels, 1e-12)) - LEVEL_OFFSET_DB) / LEVEL_STEP_DB)
    return np.where(levels > 0, np.clip(codes, 1, 65535), 0).astype(np.uint16)


def encode_scores(scores: DetectorValues) -> NDArray[np.int16]:
    """Return the codes of log-likelihood scores.

    Examples
    --------
    >>> encode_scores(np.array([-np.inf, 0.2, 0.201, np.inf]))
    array([-32767,     20,     21,  32767], dtype=int16)
    """
    bounded = np.clip(scores, -1e6, 1e6) / SCORE_STEP
    return np.clip(_ceil_steps(bounded), -MAX_SCORE_CODE, MAX_SCORE_CODE).astype(np.int16)


def decode_levels_db(codes: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Return the levels of codes in dBFS; minus infinity for digital silence."""
    return np.where(codes > 0, LEVEL_OFFSET_DB + LEVEL_STEP_DB * codes, -np.inf)


def decode_scores(codes: NDArray[np.int16]) -> NDArray[np.float64]:
    """Return the scores of codes; the extreme codes are infinite."""
    scores = codes * SCORE_STEP
    is_extreme = np.abs(codes.astype(np.int32)) >= MAX_SCORE_CODE
    return np.where(is_extreme, np.copysign(np.inf, scores), scores)


def _ceil_steps(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round up; values within the precision of a logarithm of an integer are that integer."""
    return np.asarray(np.ceil(steps - 1e-7))


def encode_peaks(peaks: Peaks) -> NDArray[np.int8]:
    """Return the peaks relative to the largest one, −127 to 127."""
    largest = max(float(np.abs(peaks).max(initial=0)), 1e-9)
    return np.asarray(np.rint(peaks / largest * 127), np.int8)


def encode_spectrogram(levels: BandLevels, loudest_db: float) -> NDArray[np.uint8]:
    """Return the shades of a spectrogram; `loudest_db` has the last one, `SPECTROGRAM_STEPS`.

    Examples
    --------
    >>> encode_spectrogram(np.array([[-120.0, -60.0, -20.0]]), loudest_db=-20.0)
    array([[ 0, 20, 40]], dtype=uint8)
    """
    shades = np.rint(
        (levels - loudest_db + SPECTROGRAM_DEPTH_DB) * (SPECTROGRAM_STEPS / SPECTROGRAM_DEPTH_DB)
    )
    # The level of samples far above full scale can be undefined.
    return np.asarray(np.clip(np.nan_to_num(shades), 0, SPECTROGRAM_STEPS), np.uint8)


def pack_array(array: NDArray[Any]) -> str:
    """Return an array as text: little-endian bytes, compressed by zlib, in base64."""
    octets = array.astype(array.dtype.newbyteorder("<")).tobytes()
    return base64.b64encode(zlib.compress(octets, 6)).decode("ascii")
