"""Change one constant of the gating core at a time, and measure the effect.

    python -m tests.benchmarks.sweep FOLDER ... [--constant MODULE.NAME ...] [--factors 0.5,2]
    python -m tests.benchmarks.sweep FOLDER ... --markdown

A module is named relative to `noisegate_cli/gating`, for example `detection.signal_model.MIN_RISE`.
Without --constant, all constants with a record in docs/tuning.md are swept. With --markdown, the
values, sweeps and verdicts there are renewed; the prose stays.

A folder has the form that `quality` describes: NAME.flac and NAME.json with `pauses` and `speech`.
NAME.clean.flac, if it exists, is the same speech without noise; the spectral gate is judged only on
recordings that have it. NAME.own.flac, if it exists, makes NAME.flac a session: each channel is a
microphone, and the same channel of NAME.own.flac is its talker alone. Sessions are judged only by
`bleed` and `alignment`. A recording may have no pauses, or no speech. Several folders are
independent sets: a value is better only if it is not worse in any of them.

The column `judged by` of a record is one of these:

automatic   the automatic gate: balanced accuracy in %, speech lost in %, worst recording in %
voice       the same with listen="voice"
speech      the same with speech=True, which requires the extra `speech`
levels      the same for the thresholds auto:otsu, auto:gmm and auto:p56
spectral    the spectral gate: gain in SI-SDR in dB, level change of speech in dB, reduction of
            noise in pauses in dB, and PESQ if the package `pesq` is installed
quietest    the same without pauses to learn from: the gate is always open
mask        the same for the binary mask
report      the results of `analyze` and the audit: drift in dB, agreement and confidence in %,
            cutoffs
bleed       each channel of a session against the others: own speech lost in %, the same where
            several talk, and the time turned down where only others talk in %
alignment   the first two channels of a session: alignments of parts that belong together that are
            found and that are wrong, and of parts that do not that are found, in %
by ear      listening: the constant is not swept
"""

import argparse
import importlib
import importlib.util
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from tests.benchmarks import quality
from tests.benchmarks.constants import Value, find_constants, neighbours, patched
from tests.benchmarks.tuning import DOCUMENT, read_records, renew_record, renew_scores

Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Recording:
    """An annotated recording."""

    folder: str
    path: Path
    truth: dict[str, list[list[float]]]

    @cached_property
    def read(self) -> tuple[NDArray[np.float32], int]:
        """Samples and sample rate."""
        samples, rate = sf.read(self.path, always_2d=True, dtype="float32")
        return samples, int(rate)

    @cached_property
    def clean(self) -> Array | None:
        """The speech alone, mean of the channels; None if it is not known."""
        path = self.path.with_suffix(f".clean{self.path.suffix}")
        return sf.read(path, always_2d=True)[0].mean(axis=1) if path.exists() else None

    @cached_property
    def own(self) -> Array | None:
        """What each talker of a session says, shaped (samples, talkers); None if it is none."""
        path = self.path.with_suffix(f".own{self.path.suffix}")
        return sf.read(path, always_2d=True)[0] if path.exists() else None

    @cached_property
    def levels(self) -> Array:
        """Levels of the frames."""
        return quality.frame_levels(*self.read)

    def gain_db(self, after: NDArray[np.float32]) -> Array:
        """Return the gain of each frame."""
        return 20 * np.log10(quality.frame_levels(after, self.read[1]) / self.levels)


def read_recordings(folders: Sequence[Path]) -> list[Recording]:
    """Return the recordings of all folders."""
    return [
        Recording(folder.name, path, truth)
        for folder in folders
        for path, truth in quality.recordings(folder)
    ]


@dataclass(frozen=True)
class Measure:
    """One figure of a recording."""

    name: str
    least: float
    """Smallest significant difference of the mean."""
    large: float
    """Smallest significant difference of a single recording, for any mean."""
    sign: int
    """1 if more is better, -1 if less is better, 0 otherwise."""


@dataclass(frozen=True)
class Outcome:
    """The results with one value of a constant."""

    folders: list[str]
    values: Array
    """Shaped (recordings, measures)."""
    digests: list[str]
    """One for the output of each recording."""
    two_sided: NDArray[np.bool_]
    """Which recordings have both speech and pauses."""

    def select(self, folder: str) -> "Outcome":
        """Return the outcome of one folder."""
        mask = np.array(self.folders) == folder
        digests = [digest for digest, selected in zip(self.digests, mask, strict=True) if selected]
        return Outcome([folder] * len(digests), self.values[mask], digests, self.two_sided[mask])


@dataclass(frozen=True)
class Criterion:
    """How to compare the values of a constant."""

    measures: list[Measure]
    run: Callable[[Recording], tuple[list[float], bytes]]
    has_worst: bool = False
    """Whether to report the worst recording with speech and pauses, by the first measure."""
    needs_clean: bool = False
    needs_own: bool = False

    def is_fit(self, recording: Recording) -> bool:
        """Return whether the recording has the required reference."""
        has_clean = recording.clean is not None or not self.needs_clean
        return has_clean and (recording.own is not None) == self.needs_own

    def judge(self, recordings: Sequence[Recording]) -> Outcome:
        """Run the gate on all recordings with the required reference."""
        fit = [recording for recording in recordings if self.is_fit(recording)]
        results = [self.run(recording) for recording in fit]
        return Outcome(
            [recording.folder for recording in fit],
            np.array([values for values, _ in results]),
            [sha256(output).hexdigest() for _, output in results],
            np.array([all(recording.truth.values()) for recording in fit]),
        )

    def summarize(self, outcome: Outcome) -> list[float]:
        """Return the means of the measures, and the worst recording if it is reported."""
        means = [float(mean) for mean in outcome.values.mean(axis=0)]
        first = outcome.values[outcome.two_sided, 0]
        return [*means, float(first.min(initial=100.0))] if self.has_worst else means


def _gate(recording: Recording, **options: Any) -> NDArray[np.float32]:
    arrays = importlib.import_module("noisegate_cli.api.arrays")
    after: NDArray[np.float32] = arrays.gate(*recording.read, **options)
    return after


def _settings(**fields: Any) -> Any:
    return importlib.import_module("noisegate_cli.gating.settings").GateSettings(**fields)


def _accuracy(recording: Recording, after: NDArray[np.float32]) -> list[float]:
    """Return balanced accuracy and lost speech; with a single class, the accuracy of that class."""
    truth = recording.truth
    score = quality.score_gain(recording.path.stem, recording.gain_db(after), truth)
    rates = [100 - score.lost] * bool(truth["speech"]) + [score.closed] * bool(truth["pauses"])
    return [float(np.mean(rates)), score.lost]


def _automatic_runner(**options: Any) -> Callable[[Recording], tuple[list[float], bytes]]:
    def run(recording: Recording) -> tuple[list[float], bytes]:
        after = _gate(recording, **options)
        return _accuracy(recording, after), after.tobytes()

    return run


def _run_levels(recording: Recording) -> tuple[list[float], bytes]:
    methods = ("auto:otsu", "auto:gmm", "auto:p56")
    afters = [_gate(recording, threshold=method) for method in methods]
    values = np.mean([_accuracy(recording, after) for after in afters], axis=0)
    return list(values), b"".join(after.tobytes() for after in afters)


def _spectral_runner(**fields: Any) -> Callable[[Recording], tuple[list[float], bytes]]:
    def run(recording: Recording) -> tuple[list[float], bytes]:
        after = _gate(recording, settings=_settings(**{"spectral": "soft", **fields}, range_db=0.0))
        return _fidelity(recording, after), after.tobytes()

    return run


def _fidelity(recording: Recording, after: NDArray[np.float32]) -> list[float]:
    before, rate = recording.read
    clean, gain = recording.clean, recording.gain_db(after)
    assert clean is not None
    pause, speech = (
        quality.frame_mask(recording.truth[k], len(gain)) for k in ("pauses", "speech")
    )
    values = [
        si_sdr(clean, after.mean(axis=1)) - si_sdr(clean, before.mean(axis=1)),
        float(gain[speech].mean()),
        -float(gain[pause].mean()),
    ]
    return [*values, _pesq(clean, after.mean(axis=1), rate)] if HAS_PESQ else values


HAS_PESQ = importlib.util.find_spec("pesq") is not None


def _pesq(clean: Array, after: NDArray[np.float32], rate: int) -> float:
    import librosa
    from pesq import pesq

    wide = [
        librosa.resample(x.astype(np.float32), orig_sr=rate, target_sr=16000)
        for x in (clean, after)
    ]
    return float(pesq(16000, *wide, "wb"))


def si_sdr(clean: Array, estimate: NDArray[Any]) -> float:
    """Return the scale-invariant signal-to-distortion ratio in dB.

    Le Roux, Wisdom, Erdogan and Hershey, SDR - half-baked or well done? (2019).
    """
    clean, estimate = clean - clean.mean(), estimate - estimate.mean()
    target = (estimate @ clean) / (clean @ clean) * clean
    return float(10 * np.log10(np.sum(target**2) / (np.sum((estimate - target) ** 2) + 1e-20)))


def _run_report(recording: Recording) -> tuple[list[float], bytes]:
    analysis = importlib.import_module("noisegate_cli.gating.analysis")
    gate = importlib.import_module("noisegate_cli.gating.gate")
    samples, rate = recording.read
    analyzer = analysis.Analyzer(_settings(), rate, samples.shape[1], len(samples))
    analyzer.process(samples, last=True)
    report = analyzer.report()
    stream = gate.Gate(analyzer.decide(), rate, samples.shape[1])
    stream.process(samples, last=True)
    values = [
        report.drift_db,
        100 * (report.suggestion.agreement or 0.0),
        100 * report.suggestion.confidence,
        float(stream.report.cutoffs.count),
    ]
    return values, repr(values).encode()


def _run_bleed(recording: Recording) -> tuple[list[float], bytes]:
    arrays = importlib.import_module("noisegate_cli.api.arrays")
    (tracks, rate), own = recording.read, recording.own
    assert own is not None
    levels_db = np.stack([_hop_levels_db(talker, rate) for talker in own.T])
    is_active = levels_db > np.quantile(levels_db, 0.95, axis=1, keepdims=True) - ACTIVE_DEPTH_DB
    rows, outputs = [], []
    for talker in range(own.shape[1]):
        others = np.delete(tracks, talker, axis=1)
        y = tracks[:, talker]
        outputs.append(arrays.gate(y, rate, against=list(others.T)))
        gain_db = _hop_levels_db(outputs[-1], rate) - _hop_levels_db(y, rate)
        me, them = is_active[talker], np.delete(is_active, talker, axis=0).any(axis=0)
        rows.append(
            [
                _share(gain_db < -3, me & ~them),
                _share(gain_db < -3, me & them),
                _share(gain_db <= -10, them & ~me),
            ]
        )
    return list(np.mean(rows, axis=0)), np.stack(outputs).tobytes()


ACTIVE_DEPTH_DB = 32.0
"""Depth below the loud frames in which a talker still counts as active."""


def _hop_levels_db(y: NDArray[Any], rate: int) -> Array:
    hop = rate // 100
    squares = np.square(y[: len(y) // hop * hop].reshape(-1, hop), dtype=np.float64)
    return np.asarray(10 * np.log10(squares.mean(axis=1) + 1e-20))


def _share(flags: NDArray[np.bool_], selected: NDArray[np.bool_]) -> float:
    """Return the share of the selected frames in %; 0 if there are none."""
    return 100 * float(flags[selected].mean()) if selected.any() else 0.0


def _run_alignment(recording: Recording) -> tuple[list[float], bytes]:
    probes = importlib.import_module("noisegate_cli.gating.alignment_probe")
    alignment = importlib.import_module("noisegate_cli.gating.alignment")
    (tracks, rate), own = recording.read, recording.own
    assert own is not None

    def align(y: NDArray[Any], other: NDArray[Any]) -> Any:
        probe = probes.AlignmentProbe(rate)
        other_probe = probes.AlignmentProbe(rate, probes.MARGIN_WINDOWS)
        probe.process(y[:, None], last=True)
        other_probe.process(other[:, None], last=True)
        return alignment.find_alignment(probe, other_probe)

    y, other = tracks[:, 0], tracks[:, 1]
    half, eighth = len(y) // 2, len(y) // 8
    slow = np.interp(np.arange(len(y)) / (1 + DRIFT_PPM * 1e-6), np.arange(len(y)), other)
    related = [(align(y, other[round(SHIFT_S * rate) :]), SHIFT_S), (align(y, slow), 0.0)]
    unrelated = [
        align(own[:, 0].astype(np.float32), own[:, 1].astype(np.float32)),
        align(y[:half], other[half:]),
        align(y[:eighth], other[-eighth:]),
    ]
    for seconds in EXCERPTS_S:
        part = slice(half - round(seconds / 2 * rate), half + round(seconds / 2 * rate))
        start_s = seconds / 8
        related.append((align(y[part], other[part][round(start_s * rate) :]), start_s))
    is_right = [found and abs(found.start_s - start_s) < TOLERANCE_S for found, start_s in related]
    is_wrong = [found and not right for (found, _), right in zip(related, is_right, strict=True)]
    values = [100 * float(np.mean(list(map(bool, x)))) for x in (is_right, is_wrong, unrelated)]
    return values, repr([related, unrelated]).encode()


SHIFT_S, DRIFT_PPM, EXCERPTS_S, TOLERANCE_S = 2.5, 80.0, (20.0, 10.0), 0.05

ALIGNMENT = [
    Measure("found", 0.1, 50.0, 1),
    Measure("wrong", 0.1, 50.0, -1),
    Measure("unrelated", 0.1, 50.0, -1),
]
BLEED = [
    Measure("own", 0.1, 5.0, -1),
    Measure("both", 0.5, 10.0, -1),
    Measure("bleed", 0.1, 5.0, 1),
]
ACCURACY = [Measure("balanced", 0.1, 10.0, 1), Measure("lost", 0.1, 10.0, -1)]
FIDELITY = [
    Measure("SI-SDR", 0.05, 1.0, 1),
    Measure("speech", 0.05, 1.0, 1),
    Measure("noise", 0.2, 3.0, 1),
    Measure("PESQ", 0.02, 0.3, 1),
][: 4 if HAS_PESQ else 3]
REPORTS = [
    Measure("drift", 0.1, math.inf, 0),
    Measure("agreement", 0.2, math.inf, 0),
    Measure("confidence", 0.2, math.inf, 0),
    Measure("cutoffs", 0.1, math.inf, 0),
]
CRITERIA = {
    "automatic": Criterion(ACCURACY, _automatic_runner(), has_worst=True),
    "voice": Criterion(ACCURACY, _automatic_runner(listen="voice"), has_worst=True),
    "speech": Criterion(ACCURACY, _automatic_runner(speech=True), has_worst=True),
    "levels": Criterion(ACCURACY, _run_levels, has_worst=True),
    "spectral": Criterion(FIDELITY, _spectral_runner(), needs_clean=True),
    "quietest": Criterion(FIDELITY, _spectral_runner(threshold="-110dB"), needs_clean=True),
    "mask": Criterion(FIDELITY, _spectral_runner(spectral="mask"), needs_clean=True),
    "report": Criterion(REPORTS, _run_report),
    "bleed": Criterion(BLEED, _run_bleed, needs_own=True),
    "alignment": Criterion(ALIGNMENT, _run_alignment, needs_own=True),
}


def compare(criterion: Criterion, base: Outcome, other: Outcome) -> str:
    """Return "same", "flat", "better", "worse", "trade-off", "uneven" or "differs".

    A measure differs if the mean of its differences over the recordings is larger than twice its
    standard error and than the least difference that counts. If the sign of the mean difference is
    not the same in all folders, an improvement does not count. An improvement of one measure is a
    trade-off if the mean of another measure is worse, whatever its standard error. The result is
    "uneven" if no measure differs but single recordings change much.
    """
    if base.digests == other.digests:
        return "same"
    changes = other.values - base.values
    results = {
        _compare_measure(measure, differences, np.array(base.folders))
        for measure, differences in zip(criterion.measures, changes.T, strict=True)
    } - {"flat"}
    if results == {"better"}:
        signed = changes.mean(axis=0) * [measure.sign for measure in criterion.measures]
        if (signed < [-measure.least for measure in criterion.measures]).any():
            return "trade-off"
    if results:
        return results.pop() if len(results) == 1 else "trade-off"
    return (
        "uneven"
        if (abs(changes) > [measure.large for measure in criterion.measures]).any()
        else "flat"
    )


def _compare_measure(measure: Measure, differences: Array, folders: NDArray[np.str_]) -> str:
    mean, count = differences.mean(), len(differences)
    error = differences.std(ddof=1) / math.sqrt(count) if count > 1 else 0.0
    if abs(mean) <= max(2 * error, measure.least):
        return "flat"
    if not measure.sign:
        return "differs"
    if mean * measure.sign < 0:
        return "worse"
    means = [differences[folders == folder].mean() for folder in np.unique(folders)]
    return "better" if min(measure.sign * mean for mean in means) >= 0 else "flat"


@dataclass
class Sweep:
    """The outcomes of all values of one constant."""

    criterion: Criterion
    base: Outcome
    outcomes: dict[Value, Outcome | str] = field(default_factory=dict)
    """Outcomes by value; an error message if the gate fails with the value."""

    @property
    def cell(self) -> str:
        """The differences from the current value, as text."""
        return "; ".join(f"{v}: {self._differences(o)}" for v, o in self.outcomes.items())

    def _differences(self, outcome: Outcome | str) -> str:
        if isinstance(outcome, str):
            return outcome
        if outcome.digests == self.base.digests:
            return "="
        pairs = zip(
            self.criterion.summarize(outcome), self.criterion.summarize(self.base), strict=True
        )
        return " / ".join(_signed(after - before) for after, before in pairs)

    @property
    def verdict(self) -> str:
        """The verdict as text."""
        words: dict[str, list[str]] = {}
        for value, outcome in self.outcomes.items():
            if not isinstance(outcome, str):
                words.setdefault(compare(self.criterion, self.base, outcome), []).append(str(value))
        if not words:
            return "does not run with other values"
        if set(words) == {"same"}:
            return "no effect on these recordings"
        if set(words) <= {"same", "flat"}:
            return "flat"
        return "; ".join(
            f"{word} at {', '.join(words[word])}"
            for word in ("better", "trade-off", "worse", "uneven", "differs")
            if word in words
        )


def _signed(difference: float) -> str:
    rounded = round(difference, 2)
    return f"{rounded:+.2f}".replace("-", "−") if rounded else "0"


def describe(criterion: Criterion, outcome: Outcome) -> str:
    """Return the scores of each folder as text, in cells."""
    names = [*(m.name for m in criterion.measures), *(["worst"] if criterion.has_worst else [])]
    parts = []
    for folder in dict.fromkeys(outcome.folders):
        part = outcome.select(folder)
        scores = zip(names, criterion.summarize(part), strict=True)
        parts.append(
            f"{folder} ({len(part.values)}): "
            + ", ".join(f"{name} " + f"{value:.2f}".replace("-", "−") for name, value in scores)
        )
    return f"{' / '.join(names)} | {'; '.join(parts)}"


def sweep_constant(
    constant: str,
    values: Sequence[Value],
    criterion: Criterion,
    base: Outcome,
    recordings: list[Recording],
) -> Sweep:
    """Judge all values of a constant."""
    sweep = Sweep(criterion, base)
    for value in values:
        with patched(constant, value):
            try:
                sweep.outcomes[value] = criterion.judge(recordings)
            except Exception as error:
                sweep.outcomes[value] = f"fails ({type(error).__name__})"
    return sweep


def main() -> None:
    """Sweep, and print or write the records."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--constant", action="append", help="MODULE.NAME; all by default")
    parser.add_argument("--factors", default="", help="such as 0.5,2")
    parser.add_argument("--markdown", action="store_true", help="renew docs/tuning.md")
    arguments = parser.parse_args()
    factors = [float(factor) for factor in arguments.factors.split(",") if factor]
    constants, recordings = find_constants(), read_recordings(arguments.folders)
    if not recordings:
        raise SystemExit("no recordings with their truth in these folders")
    criteria = {r.constant: r.criterion for r in read_records(DOCUMENT.read_text(encoding="utf-8"))}
    selected = arguments.constant or [
        c for c, criterion in criteria.items() if criterion in CRITERIA
    ]
    for constant in selected:
        if constant not in constants or criteria.get(constant) not in CRITERIA:
            raise SystemExit(f"{constant} has no record with a sweep in {DOCUMENT}")
    names = dict.fromkeys(criteria[constant] for constant in selected)
    for name in names:
        if not any(map(CRITERIA[name].is_fit, recordings)):
            raise SystemExit(f"{name}: no recording has the reference that it needs")
    bases = {}
    for name in names:
        bases[name] = CRITERIA[name].judge(recordings)
        scores = describe(CRITERIA[name], bases[name])
        print(f"{name} | {scores}", flush=True)
        if arguments.markdown:
            _rewrite(partial(renew_scores, name=name, scores=scores))
    for constant in selected:
        name, value = criteria[constant], constants[constant]
        tried = neighbours(constant, value, factors)
        sweep = sweep_constant(constant, tried, CRITERIA[name], bases[name], recordings)
        print(f"{constant} = {value} | {sweep.cell} | {sweep.verdict}", flush=True)
        if arguments.markdown:
            cells = {"sweep": sweep.cell, "verdict": sweep.verdict}
            _rewrite(partial(renew_record, constant=constant, value=value, **cells))


def _rewrite(change: Callable[[str], str]) -> None:
    DOCUMENT.write_text(change(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
