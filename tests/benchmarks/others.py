"""The plain copy and the gates that need a script, each in its usual form.

    python others.py TOOL INPUT OUTPUT
    python others.py peak COMMAND ...

Each tool imports only the libraries that it needs, because imports are part of its time.
"""

import os
import sys

THRESHOLD = 0.03
THRESHOLD_DB = -30.5


def copy(source: str, target: str) -> None:
    """Read and write in the sample type of the file: no gate on libsndfile can be faster."""
    import numpy as np
    import soundfile as sf

    with sf.SoundFile(source) as reader:
        layout = (reader.samplerate, reader.channels, reader.subtype)
        dtype = np.dtype("int16" if reader.subtype == "PCM_16" else "int32")
        length = (1 << 21) // (dtype.itemsize * reader.channels)
        buffer = np.empty((length, reader.channels), dtype)
        with sf.SoundFile(target, "w", *layout) as writer:
            for block in reader.blocks(out=buffer):
                writer.write(block)


def librosa(source: str, target: str) -> None:
    """Zero the frames of the spectrum whose RMS is below the threshold."""
    import librosa
    import soundfile as sf

    samples, rate = librosa.load(source, sr=None)
    spectrum = librosa.stft(samples)
    mask = librosa.feature.rms(y=samples) > THRESHOLD
    sf.write(target, librosa.istft(spectrum * mask, length=len(samples)), int(rate))


def noisereduce(source: str, target: str, mode: str = "") -> None:
    """Reduce noise with the defaults, as nonstationary or as stationary noise."""
    import noisereduce
    import soundfile as sf

    samples, rate = sf.read(source, dtype="float32")
    sf.write(target, noisereduce.reduce_noise(samples, rate, stationary=mode == "stationary"), rate)


def pedalboard(source: str, target: str) -> None:
    """Gate one second at a time, as in pedalboard's examples."""
    from pedalboard import NoiseGate
    from pedalboard.io import AudioFile

    gate = NoiseGate(threshold_db=THRESHOLD_DB)
    with AudioFile(source) as reader:
        rate = reader.samplerate
        depth = int(reader.file_dtype.removeprefix("int"))
        with AudioFile(target, "w", rate, reader.num_channels, bit_depth=depth) as writer:
            while reader.tell() < reader.frames:
                writer.write(gate(reader.read(int(rate)), rate, reset=False))


def peak(*command: str) -> None:
    """Run a command and print the peak memory of its largest process in bytes.

    A process inherits the peak of the process that spawns it, so this process must be small.
    """
    null = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_WRONLY, 0) for number in (1, 2)]
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=null)
    _, status, usage = os.wait4(pid, 0)
    print(usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))
    sys.exit(os.waitstatus_to_exitcode(status) and 1)


def gating(folder: str) -> None:
    """Print the mean time in ms to gate a recording of a folder in memory."""
    from pathlib import Path
    from time import perf_counter

    import soundfile as sf

    from noisegate_cli import GateSettings, gate

    paths, total_s = sorted(Path(folder).rglob("*.wav")), 0.0
    for path in paths:
        samples, rate = sf.read(path, dtype="int16", always_2d=True)
        started = perf_counter()
        gate(samples, rate, settings=GateSettings(threshold=THRESHOLD))
        total_s += perf_counter() - started
    print(1000 * total_s / len(paths))


def parent(*arguments: str) -> None:
    """Run ngate in this process, and print the peak memory of this process in bytes."""
    from pathlib import Path

    from noisegate_cli.terminal.cli import run

    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    status = run(arguments)
    # The peak that getrusage reports includes the peak of the process that started this one.
    peak_line = Path("/proc/self/status").read_text().partition("VmHWM:")[2]
    print(int(peak_line.split()[0]) * 1024)
    sys.exit(status)


TOOLS = {f.__name__: f for f in (copy, librosa, noisereduce, pedalboard, peak, gating, parent)}

if __name__ == "__main__":
    TOOLS[sys.argv[1]](*sys.argv[2:])
