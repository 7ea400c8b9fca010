"""Measure how well a gate separates speech from pauses, on annotated recordings.

    python -m tests.benchmarks.quality [FOLDER] [--cmd 'ngate gate {in} -o {out}'] [--json]
    python -m tests.benchmarks.quality --cmd 'ngate gate {in} -o {out} -t {t}dB' --sweep=-60:-15:1

With a sweep of thresholds {t}, the best threshold of each recording counts. This is an upper bound:
a user does not know the best threshold in advance.

A folder has NAME.flac (or .wav) and NAME.json with `pauses`, which contain no speech, and `speech`,
which is not masked by the noise: lists of [start, end] in seconds. Everything else is not scored.
A gain is the level after the gate over the level before, in frames of 30 ms, one every 10 ms.

lost      % of speech attenuated by more than 3 dB
onset     the same over the first 80 ms of speech after a pause
closed    % of pauses attenuated by 10 dB or more
opens     number of times the gate opens
balanced  (100 - lost + closed) / 2
"""

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

DATA = Path(__file__).parent.parent / "data"
DEFAULT_COMMAND = f"{shlex.quote(sys.executable)} -m noisegate_cli gate -q {{in}} -o {{out}}"

HOP_S, FRAME_S = 0.010, 0.030
ONSET_FRAMES = 8
LOST_DB, CLOSED_DB, OPEN_DB = -3.0, -10.0, -6.0

Samples = NDArray[Any]


@dataclass(frozen=True)
class Score:
    """The score of one recording; all values but `opens` are in percent."""

    name: str
    lost: float
    onset: float
    closed: float
    opens: float
    balanced: float


def score(
    name: str, before: Samples, after: Samples, rate: int, truth: dict[str, list[list[float]]]
) -> Score:
    """Compare a recording before and after a gate; samples are floats (samples, channels)."""
    return score_gain(
        name, 20 * np.log10(frame_levels(after, rate) / frame_levels(before, rate)), truth
    )


def score_gain(name: str, gain: NDArray[np.float64], truth: dict[str, list[list[float]]]) -> Score:
    """Score the gain in dB of each frame."""
    pause, speech = (frame_mask(truth[part], len(gain)) for part in ("pauses", "speech"))
    onset = np.zeros(len(gain), np.bool_)
    for _, end in truth["pauses"]:
        following = np.flatnonzero(speech[round(end / HOP_S) :])[:ONSET_FRAMES]
        onset[round(end / HOP_S) + following] = True
    lost, closed = (
        100 * _share(gain[speech] < LOST_DB),
        100 * _share(gain[pause] <= CLOSED_DB),
    )
    return Score(
        name,
        lost,
        100 * _share(gain[onset] < LOST_DB),
        closed,
        float(np.count_nonzero(np.diff((gain > OPEN_DB).astype(int)) > 0)),
        (100 - lost + closed) / 2,
    )


def recordings(folder: Path) -> list[tuple[Path, dict[str, list[list[float]]]]]:
    """Return the annotated recordings of a folder, with their annotations."""
    result = []
    for path in sorted(folder.iterdir()):
        truth = path.with_suffix(".json")
        if path.suffix in (".flac", ".wav") and truth.exists():
            result.append((path, json.loads(truth.read_text(encoding="utf-8"))))
    return result


def run(command: str, folder: Path, thresholds: Sequence[float] = (0.0,)) -> list[Score]:
    """Run a gate on every recording of a folder; return the scores of the best thresholds."""
    scores = []
    for path, truth in recordings(folder):
        before, rate = sf.read(path, always_2d=True)
        candidates = []
        for threshold in thresholds:
            after, after_rate = _gated(command, path, threshold)
            if (after_rate, after.shape) != (rate, before.shape):
                raise SystemExit(f"{path.name}: the output has another rate, length or channels")
            candidates.append(score(path.stem, before, after, rate, truth))
        scores.append(max(candidates, key=lambda candidate: candidate.balanced))
    if not scores:
        raise SystemExit(f"no recordings with their truth in {folder}")
    return scores


def _gated(command: str, path: Path, threshold: float) -> tuple[Samples, int]:
    with tempfile.TemporaryDirectory() as temporary:
        values = {"{in}": str(path), "{out}": f"{temporary}/out.wav", "{t}": f"{threshold:g}"}
        words = shlex.split(command)
        for name, value in values.items():
            words = [word.replace(name, value) for word in words]
        subprocess.run(words, check=True)
        samples, rate = sf.read(values["{out}"], always_2d=True)
        return samples, int(rate)


def mean(scores: list[Score]) -> Score:
    """Return the mean of some scores."""
    values = [
        [value for value in asdict(score).values() if not isinstance(value, str)]
        for score in scores
    ]
    return Score("mean", *(float(value) for value in np.mean(values, axis=0)))


def frame_levels(samples: Samples, rate: int) -> NDArray[np.float64]:
    """Return the RMS of each frame, over all channels."""
    frames = 1 + int(len(samples) / rate / HOP_S)
    center = np.arange(frames) * HOP_S * rate
    sums = np.concatenate([[0.0], np.cumsum((samples.astype(np.float64) ** 2).mean(axis=1))])
    start, end = (
        np.clip(np.rint(center + side * FRAME_S / 2 * rate), 0, len(samples)).astype(int)
        for side in (-1, 1)
    )
    return np.asarray(np.sqrt((sums[end] - sums[start]) / np.maximum(end - start, 1) + 1e-20))


def frame_mask(segments: list[list[float]], frames: int) -> NDArray[np.bool_]:
    """Return the mask of the frames within any of the segments, which are in seconds."""
    mask = np.zeros(frames, np.bool_)
    for start, end in segments:
        mask[round(start / HOP_S) : round(end / HOP_S) + 1] = True
    return mask


def _share(flags: NDArray[np.bool_]) -> float:
    return float(flags.mean()) if flags.size else 0.0


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, default=DATA)
    parser.add_argument("--cmd", default=DEFAULT_COMMAND, help="the gate, with {in} and {out}")
    parser.add_argument("--sweep", help="FROM:TO:STEP in dB")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    sweep = [float(part) for part in arguments.sweep.split(":")] if arguments.sweep else [0, 1, 1]
    scores = run(arguments.cmd, arguments.folder, list(np.arange(*sweep)))
    if arguments.json:
        print(json.dumps([asdict(score) for score in scores]))
        return
    width = max(len(score.name) for score in scores)
    print(" " * width + "".join(f"{title:>10}" for title in list(asdict(scores[0]))[1:]))
    for score in [*scores, mean(scores)]:
        values = "".join(
            f"{value:10.1f}" for value in asdict(score).values() if not isinstance(value, str)
        )
        print(f"{score.name:<{width}}{values}")


if __name__ == "__main__":
    main()
