import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from noisegate_cli import __version__, analyze_file
from noisegate_cli.gating.settings import PRESETS
from noisegate_cli.terminal.cli import run
from noisegate_cli.terminal.commands import build_command
from noisegate_cli.terminal.display.advice import collect_advice, suggest_gate_command
from tests.benchmarks.faults import wait_for_handlers
from tests.conftest import (
    DATA,
    SPEECH,
    drop_permission_override,
    loud_and_quiet,
    read,
    tone,
)


def ngate(*arguments, **options):
    """Run the command line as a user does."""
    command = [sys.executable, "-m", "noisegate_cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def read_error_line(capsys):
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1, errors
    assert errors.startswith("ngate: ")
    assert "Traceback" not in errors
    return errors


def test_the_three_commands_work(tmp_path, monkeypatch, write):
    monkeypatch.chdir(tmp_path)
    write(loud_and_quiet(), "file.wav")
    write(loud_and_quiet(), "recordings/a.wav")
    assert run(["analyze", "file.wav"]) == 0
    assert run(["gate", "file.wav", "-t", "0.03", "-o", "clean.wav"]) == 0
    assert run(["batch", "./recordings"]) == 0
    assert not read(tmp_path / "clean.wav")[22000:30000].any()
    assert (tmp_path / "recordings-gated" / "a.wav").exists()


def test_gate_prints_its_summary_on_stderr(write, capsys):
    source = write(loud_and_quiet())
    assert run(["gate", str(source), "-t", "0.03"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "threshold  0.03 (-30.5 dBFS), as given" in err
    assert "2 openings" in err
    assert "in_gated.wav" in err


def test_gate_prints_the_reason_for_an_automatic_threshold(write, capsys):
    y = loud_and_quiet()
    assert run(["gate", str(write(np.tile(y, 5)))]) == 0
    assert "automatic  Noise around -60.0 dBFS" in capsys.readouterr().err


def test_quiet_prints_nothing(write, capsys):
    assert run(["gate", str(write(loud_and_quiet())), "-q"]) == 0
    assert capsys.readouterr() == ("", "")


def test_json_prints_one_object_per_recording_on_stdout(write, capsys):
    source = write(loud_and_quiet())
    assert run(["gate", str(source), "-t", "-30dB", "--range", "mute", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["file"] == str(source)
    assert data["threshold_db"] == pytest.approx(-30)
    assert data["openings"] == 2
    assert data["settings"]["range_db"] == data["range_db"] == "mute"
    assert run(["analyze", str(source), str(SPEECH), "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["sample_rate"] for line in lines] == [16000, 16000]


def test_the_suggested_command_gives_the_predicted_result(tmp_path, capsys):
    source = tmp_path / "it's a name.wav"
    source.write_bytes(SPEECH.read_bytes())
    assert run(["analyze", str(source), "--json", "--hold", "80"]) == 0
    data = json.loads(capsys.readouterr().out)
    import shlex

    words = shlex.split(data["suggested_command"])
    assert words[:2] == ["ngate", "gate"]
    assert "--hold=80" in words
    assert run([*words[1:], "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    # No fixed threshold does what the automatic gate does here, so the command has none.
    assert data["agreement"] < 0.99
    assert "-t" not in words
    assert result["closed_share"] == data["closed_share"]
    for name in ("noise_floor_db", "active_db", "contrast_db", "reason"):
        assert result[name] == data[name]


def test_analyze_marks_the_threshold_in_the_histogram(write, capsys):
    assert run(["analyze", str(write(np.tile(loud_and_quiet(), 5)))]) == 0
    out = capsys.readouterr().out
    assert "◄── -t -" in out
    assert "ngate gate" in out


NOISE = np.random.default_rng(0).normal(0, 0.1, 64000)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros(16000), "The recording is digital silence"),
        (NOISE, "No signal above the noise at -20.0 dBFS"),
    ],
    ids=["silence", "noise"],
)
def test_noise_alone_is_silenced_with_a_message(write, capsys, y, message):
    source = write(y)
    assert run(["analyze", str(source)]) == 0
    assert message in " ".join(capsys.readouterr().out.split())
    assert run(["analyze", str(source), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["threshold"] is None
    assert data["suggested_command"] is None
    assert run(["gate", str(source)]) == 0
    assert message in capsys.readouterr().err
    assert not read(source.with_name("in_gated.wav")).any()


def test_a_steady_tone_is_unchanged_with_a_message(write, capsys):
    source = write(tone(2, 0.1))
    assert run(["gate", str(source)]) == 0
    assert "a steady tone, not noise: the gate stays open" in capsys.readouterr().err
    assert np.array_equal(read(source.with_name("in_gated.wav")), read(source))


def test_a_gate_with_a_small_range_reports_no_cutoffs(write, capsys):
    decay = tone(3, 0.5) * 10 ** (-np.arange(48000) / 8000)
    args = ["gate", str(write(decay)), "-t", "-25dB", "--fail-on-cutoff", "-q", "-f"]
    assert run([*args, "--range", "-6dB"]) == 0
    assert run([*args, "--range", "-20dB"]) == 1


def test_a_key_above_the_bandwidth_fails_only_for_that_recording(write, capsys):
    sources = [write(tone(1, 0.1, rate), f"{rate}.wav", rate) for rate in (8000, 16000)]
    assert run(["analyze", *map(str, sources), "--key", "5000-7000", "--json"]) == 1
    out, err = capsys.readouterr()
    statuses = [json.loads(line)["status"] for line in out.splitlines()]
    assert statuses == ["failed", "done"]
    assert "8000.wav': key 5000-7000 Hz is above half the sample rate of 8000 Hz" in err


def test_analyze_continues_after_a_bad_file(write, tmp_path, capsys):
    assert run(["analyze", str(tmp_path / "no.wav"), str(write(tone(1, 0.1))), "--json"]) == 1
    out, err = capsys.readouterr()
    failed, done = map(json.loads, out.splitlines())
    assert (failed["status"], done["status"]) == ("failed", "done")
    assert f"ngate: {failed['error']}\n" in err


def test_a_key_filter_ignores_rumble(write, capsys):
    rumble = tone(3, 0.2, hz=40)
    source = write(rumble + loud_and_quiet() * 0.5)
    assert run(["gate", str(source), "-t", "-40dB", "-q"]) == 0
    assert run(["gate", str(source), "-t", "-40dB", "--key", "250-4000", "--json", "-f"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["closed_share"] == pytest.approx(0.31, abs=0.02)
    assert data["settings"]["key_hz"] == [250, 4000]


def test_analyze_reports_levels_behind_the_key_filter(write, capsys):
    source = write(np.tile(tone(3, 0.2, hz=40) + loud_and_quiet() * 0.5, 3))
    assert run(["analyze", str(source), "--key", "250-4000", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["percentiles_db"]["90"] == pytest.approx(-20, abs=0.5)
    assert data["percentiles_db"]["5"] < -55
    assert "--key=250-4000" in data["suggested_command"]
    assert -60 < data["threshold_db"] < -20


@pytest.mark.parametrize("method", ["auto:otsu", "auto:gmm", "auto:p56", "floor+12dB"])
@pytest.mark.parametrize("adaptive", [[], ["--adaptive"]])
def test_level_based_threshold_methods_find_a_threshold(write, capsys, method, adaptive):
    source = write(np.tile(loud_and_quiet(), 5))
    assert run(["gate", str(source), "-t", method, "--json", *adaptive]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["method"] == method
    assert -60 < data["threshold_db"] < -14
    assert data["closed_share"] == pytest.approx(0.3, abs=0.03)


def test_closed_parts_have_the_level_of_the_target_floor(write, capsys):
    rng = np.random.default_rng(0)
    y = np.tile(loud_and_quiet(), 5) + rng.normal(0, 0.01, 15 * 16000)
    for threshold in (["-t", "-30dB"], []):
        source = write(y)
        assert run(["gate", str(source), *threshold, "--target-floor", "-62dB", "-f"]) == 0
        assert "dB, for the target floor" in capsys.readouterr().err
        out = read(source.with_name("in_gated.wav"), "float64")
        pause = out[round(1.3 * 16000) : round(1.7 * 16000)]
        assert 10 * np.log10((pause**2).mean()) == pytest.approx(-62, abs=1)


def test_a_cutoff_is_reported_and_fails_with_fail_on_cutoff(write, capsys):
    decay = tone(3, 0.5) * np.repeat([1, 0], [24000, 24000]) * 10 ** (-np.arange(48000) / 16000)
    y = tone(1, 1e-4)
    source = write(np.concatenate([y, decay, y]))
    assert run(["gate", str(source), "-t", "-25dB", "--fail-on-cutoff"]) == 1
    err = capsys.readouterr().err
    assert "cut-offs   1 decay truncated: try --hold " in err
    assert "or try -t 0.0" in err
    assert " dB above the pause)" in err
    assert "at 0:02" in err
    assert err.splitlines()[-1].startswith("ngate: ")
    assert source.with_name("in_gated.wav").exists()
    assert run(["gate", str(source), "-t", "-25dB", "--fail-on-chop", "-f", "-q"]) == 1
    capsys.readouterr()
    assert run(["gate", str(source), "-t", "-75dB", "--fail-on-cutoff", "-f", "-q"]) == 0
    assert capsys.readouterr().err == ""


def test_a_threshold_above_every_level_is_reported_and_fails_with_fail_on_cutoff(write, capsys):
    args = ["gate", str(write(tone(2, 0.01))), "-t", "-20dB", "--fail-on-cutoff"]
    assert run(args) == 1
    err = capsys.readouterr().err
    assert "no level exceeds the threshold" in err
    assert err.splitlines()[-1].endswith("the gate never opens")


def test_the_suggested_command_has_a_threshold_only_if_it_equals_the_automatic_gate():
    report = analyze_file(SPEECH)
    threshold = f"{report.levels.suggestion.threshold:.3g}"
    for agreement, command in ((0.98, ""), (0.995, f" -t {threshold}")):
        suggestion = replace(report.levels.suggestion, agreement=agreement)
        levels = replace(report.levels, suggestion=suggestion, drift_db=0.0)
        changed = replace(report, levels=levels)
        assert suggest_gate_command(changed) == f"ngate gate {SPEECH}{command}"
        is_advised = any("gate without -t" in sentence for sentence in collect_advice(changed))
        assert is_advised != bool(command)
    drifting = replace(changed, levels=replace(changed.levels, drift_db=10.0))
    assert suggest_gate_command(drifting) == f"ngate gate {SPEECH}"


def test_a_given_threshold_is_part_of_the_command_where_the_automatic_gate_stays_open(
    write, capsys
):
    source = write(tone(2, 0.1))
    assert run(["analyze", str(source), "-t", "-30dB"]) == 0
    out = capsys.readouterr().out
    assert "◄── given" in out
    assert f"ngate gate {source} -t -30dB\n" in out
    assert run(["analyze", str(source), "-t", "-30dB", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["given"]["threshold_db"] == pytest.approx(-30)
    assert data["given"]["closed_share"] == data["closed_share"] == 0
    assert data["sweep"]


def decays(rng):
    """Tones that decay slowly into noise, and tones that start slowly."""
    t = np.arange(32000) / 16000
    decay = 0.5 * np.sin(2 * np.pi * 400 * t) * 10 ** (-1.5 * t)
    pause = np.zeros(16000)
    y = np.concatenate([pause, decay, pause, decay[::-1], pause] * 2)
    return y + rng.normal(0, 1e-4, len(y))


@pytest.mark.parametrize(
    "options",
    [[], ["--hold", "150"], ["--hold", "500"], ["--lookahead", "300"], ["--range", "-40dB"]],
    ids=" ".join,
)
def test_each_remedy_against_cutoffs_makes_it_better(write, capsys, options):
    source = write(decays(np.random.default_rng(0)))
    arguments = ["gate", str(source), "-f"]

    def cutoffs(*more):
        words = ["-t", "-25dB", *more]
        given = dict(zip(words[::2], words[1::2], strict=True))  # a remedy replaces an option
        assert run([*arguments, *(word for pair in given.items() for word in pair), "--json"]) == 0
        cutoffs = json.loads(capsys.readouterr().out)["cutoffs"]
        return cutoffs["decays"] + cutoffs["attacks"]

    before = cutoffs(*options)
    assert before
    assert run([*arguments, "-t", "-25dB", *options]) == 0
    lines = re.findall(r"(?:truncated:| or) try (.*)", capsys.readouterr().err)
    remedies = [remedy for line in lines for remedy in line.split(" or ") if remedy != "longer"]
    assert len(remedies) >= 3
    for remedy in remedies:
        assert cutoffs(*options, *remedy.split()) < before, remedy


def test_a_batch_lists_recordings_to_review(write, tmp_path, capsys):
    decay = tone(3, 0.5) * 10 ** (-np.arange(48000) / 8000)
    write(np.concatenate([loud_and_quiet(), decay]), "in/cut.wav")
    write(tone(2, 0.001), "in/quiet.wav")
    write(tone(2, 0.5), "in/loud.wav")
    assert run(["batch", str(tmp_path / "in"), "-t", "-25dB", "--jobs", "1"]) == 0
    err = capsys.readouterr().err
    for pattern in (
        r"'cut.wav' +cut-offs",
        r"'loud.wav' +never closed",
        r"'quiet.wav' +all closed",
    ):
        assert re.search(pattern, err)
    assert "1 all closed, 1 never closed, 1 with cut-offs" in err


def test_analyze_shows_a_sweep_of_thresholds(capsys):
    assert run(["analyze", str(DATA / "speech_drift.flac")]) == 0
    out = " ".join(capsys.readouterr().out.split())
    for text in (
        "openings/min",
        "at risk",
        "◄── suggested",
        " otsu -",
        "The noise level varies by",
    ):
        assert text in out


WRONG_USAGE = [
    (["-t", "auto:foo"], "'auto:foo'"),
    (["-t", "floor+dB"], "'floor+dB'"),
    (["--key", "4000-250"], "4000-250"),
    (["--target-floor", "+3dB"], "give -3dB"),
    (["--target-floor", "0"], "below 0"),
    (["--min-open", "x"], "'x'"),
    (["--target-floor", "-62dB", "--range", "-20dB"], "give one of them"),
    (["-t", "4"], "'4'"),
    (["-t", "1e400"], "'1e400' is above full scale: give 0 to 1, or dBFS"),
    (["--key", "0-inf"], "'0-inf' is not a band of frequencies"),
    (["--key=-5-5"], "'-5-5' is not a band of frequencies"),
    (["--keep", "1-1"], "'1-1' ends where it starts"),
    (["--key", "in.wav", "--save-preset", "a.toml"], "cannot save the recording in --key 'in.wav'"),
    (["-t", "-0.5"], "'-0.5' has no unit"),
    (["-t", "auto:gm"], "did you mean auto:gmm?"),
    (["-t", "abc"], "'abc'"),
    (["--attack", "-5"], "-5"),
    (["--hold", "-1"], "-1"),
    (["--release", "x"], "'x'"),
    (["--lookahead", "nan"], "'nan'"),
    (["--hysteresis", "-1dB"], "-1"),
    (["--hold", "90s"], "hold '90s' must be 0 to 60 s"),
    (["--range", "+6dB"], "'+6dB'"),
    (["--range", "0.5"], "give -6.02dB"),
    (["--hop-length", "500"], "give --hop-length"),
    (["--frame-length", "2048.5"], "'2048.5'"),
    (["--channels", "both"], "'both'"),
    (["--channels", "seperate"], "did you mean separate?"),
    (["--preset", "loud"], "'loud'"),
    (["--preset", "voce"], "did you mean voice?"),
    (["--prest", "voice"], "no such option --prest: did you mean --preset?"),
    (["--nonsense"], "no such option --nonsense: see ngate gate --help"),
    (["--verbose"], "no such option --verbose: it is an option of ngate batch"),
    (["-x"], "no such option -x: see ngate gate --help"),
]


@pytest.mark.parametrize(("options", "quoted"), WRONG_USAGE)
def test_a_usage_error_is_one_line_and_status_2(write, capsys, options, quoted):
    source = write(tone(1, 0.1))
    assert run(["gate", str(source), *options]) == 2
    assert quoted in read_error_line(capsys)
    assert [p.name for p in source.parent.iterdir()] == ["in.wav"]


def test_bad_input_is_one_line_and_status_1(tmp_path, capsys):
    (tmp_path / "bad.wav").write_text("no recording")
    for name in ("bad.wav", "none.wav", "."):
        assert run(["gate", str(tmp_path / name)]) == 1
        read_error_line(capsys)
    assert [p.name for p in tmp_path.iterdir()] == ["bad.wav"]


def test_existing_outputs_and_inputs_are_not_overwritten(write, capsys):
    source = write(tone(1, 0.1))
    assert run(["gate", str(source), "-o", str(source)]) == 1
    assert "never overwritten" in read_error_line(capsys)
    assert run(["gate", str(source), "-q"]) == 0
    assert run(["gate", str(source)]) == 1
    assert "--force" in read_error_line(capsys)
    assert run(["gate", str(source), "--force", "-q"]) == 0


def test_debug_shows_the_traceback_at_any_position(tmp_path, capsys):
    for arguments in (["--debug", "gate", "no.wav"], ["gate", "no.wav", "--debug"]):
        assert run(arguments) == 1
        assert "Traceback" in capsys.readouterr().err


def test_batch_prints_a_summary_and_fails_if_a_recording_fails(tmp_path, write, capsys):
    write(loud_and_quiet(), "in/a.wav")
    (tmp_path / "in" / "bad.wav").write_text("no recording")
    assert run(["batch", str(tmp_path / "in"), "-j", "1"]) == 1
    errors = capsys.readouterr().err
    assert "1 of 2 recordings" in errors
    assert "bad.wav" in errors
    assert run(["batch", str(tmp_path / "in"), "--json"]) == 1
    results = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {Path(result["file"]).name: result["status"] for result in results} == {
        "a.wav": "skipped", "bad.wav": "failed",
    }  # fmt: skip


def test_help_shows_the_values_of_every_preset():
    help_text = ngate("gate", "--help", env=os.environ | {"COLUMNS": "80"}).stdout
    rows = {line.split()[0]: line.split()[1:] for line in help_text.splitlines() if line.split()}
    assert rows["option"] == list(PRESETS)
    for name in ("hysteresis_db", "release_ms"):
        flag = f"--{name.split('_')[0]}"
        assert rows[flag][::2] == [f"{getattr(p, name):g}" for p in PRESETS.values()]


@pytest.mark.parametrize("columns", [0, 20, 80])
def test_help_shows_every_option_in_full_at_any_width(columns):
    for command in ("gate", "analyze", "batch"):
        done = ngate(command, "--help", env=os.environ | {"COLUMNS": str(columns)})
        shown = set(re.findall(r"--[a-z-]+", done.stdout))
        assert shown >= {
            option
            for parameter in build_command(command).params
            if not getattr(parameter, "hidden", False)
            for option in parameter.opts
            if option.startswith("--")
        }


def test_a_short_option_may_have_an_equals_sign(write, tmp_path, monkeypatch):
    write(tone(1, 0.1))
    monkeypatch.chdir(tmp_path)
    assert run(["gate", "in.wav", "-t=-30dB", "-o=out.wav", "-q"]) == 0
    assert run(["gate", "-t=-30dB", "-o", "=out.wav", "-q", "--", "in.wav"]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["=out.wav", "in.wav", "out.wav"]


def test_a_current_folder_that_was_removed_is_reported(write, tmp_path):
    source = write(tone(1, 0.1))
    folder = tmp_path / "gone"
    folder.mkdir()
    command = shlex.join([sys.executable, "-m", "noisegate_cli"])
    for arguments in (f"gate {source} -o out.wav", f"batch {tmp_path} -o {tmp_path}/out"):
        done = subprocess.run(
            f"cd {folder}; rmdir {folder}; {command} {arguments}",
            shell=True,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"PYTHONPATH": str(DATA.parent.parent)},
        )
        folder.mkdir()
        message = "ngate: the current folder has been removed: change to another one\n"
        assert (done.stderr, done.returncode) == (message, 1)


@pytest.mark.parametrize("ending", ["wav", "ogg", "aiff", "m4a"])
def test_any_file_mode_mask_lets_the_owner_finish_an_output(write, tmp_path, ending):
    source, out = write(tone(1, 0.1)), tmp_path / "new" / f"out.{ending}"
    done = ngate("gate", source, "-q", "-o", out, umask=0o777, preexec_fn=drop_permission_override)
    assert (done.stderr, done.returncode) == ("", 0)
    assert out.stat().st_mode & 0o777 == 0o600


def test_help_begins_with_what_most_users_need_and_ends_with_advanced_options():
    for command in ("gate", "batch"):
        help_text = ngate(command, "--help", env=os.environ | {"COLUMNS": "80"}).stdout
        flags = re.findall(r"^│ (?:\*)? *(--[a-z-]+)", help_text, re.M)
        assert flags[:2] == ["--threshold", "--preset"]
        assert flags.index("--output") < flags.index("--hysteresis") < flags.index("--hop-length")
        assert help_text.index("─ Advanced ─") > help_text.index("─ Spectral noise reduction ─")


def test_module_and_script_print_the_version():
    assert ngate("--version").stdout == f"ngate {__version__}\n"
    script = Path(sys.executable).parent / "ngate"
    assert subprocess.check_output([script, "--version"], text=True) == f"ngate {__version__}\n"


def test_help_loads_no_heavy_modules():
    code = (
        "import sys; from noisegate_cli.terminal.cli import run; run(['gate', '--help']);"
        "print([m for m in ('numpy', 'soundfile', 'librosa', 'scipy', 'tqdm', "
        "'matplotlib') if m in sys.modules])"
    )
    out = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert out.endswith("[]\n")


def heavy_modules(*commands):
    """Run commands in one new process; return the heavy modules that it has loaded."""
    code = (
        "import json, sys; from noisegate_cli.terminal.cli import run\n"
        "for command in json.loads(sys.argv[1]): assert not run(command), command\n"
        "heavy = ('numpy.ma', 'librosa', 'scipy', 'numba', 'rich.progress', 'matplotlib')\n"
        "heavy += ('noisegate_cli.page',)\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    command = [
        sys.executable,
        "-c",
        code,
        json.dumps([[str(argument) for argument in command] for command in commands]),
    ]
    out = subprocess.check_output(command, text=True, stderr=subprocess.PIPE)
    return out.splitlines()[-1]


def test_only_the_spectral_mask_loads_librosa(write, tmp_path):
    source = write(loud_and_quiet())
    options = [
        ["--preset", preset, *threshold, *spectral]
        for preset in PRESETS
        for threshold in ([], ["-t", "0.03"], ["-t", "auto:otsu"], ["-t", "0.03", "--adaptive"])
        for spectral in ([], ["--spectral"])
        if not (preset == "hard" and spectral)
    ]
    options += [["--key", "250-4000"], ["--spectral", "--noise", "0:01.2-0:01.8"]]
    options += [["--channels", "separate", "--residue", tmp_path / "rest.wav"]]
    gate = ["gate", source, "-q", "-f", "-o", tmp_path / "out.wav"]
    analyses = [["analyze", source, *option] for option in ([], ["--json"], ["--csv"])]
    analyses += [["analyze", source, source, "--spectral"]]
    assert heavy_modules(*(gate + gate_options for gate_options in options), *analyses) == "[]"


def test_a_plot_of_a_gate_loads_matplotlib_but_not_librosa(write, tmp_path):
    gate = ["gate", write(loud_and_quiet()), "-q", "-o", tmp_path / "out.wav", "-t", "0.03"]
    loaded = heavy_modules([*gate, "--plot", tmp_path / "out.png"])
    assert "matplotlib" in loaded
    assert "librosa" not in loaded


def loaded_parts(*arguments):
    """Run a command in a new process; return the modules of ngate that it has loaded."""
    code = (
        "import sys; from noisegate_cli.terminal.cli import run; assert not run(sys.argv[1:]);"
        "print(*[m.removeprefix('noisegate_cli.') for m in sys.modules if 'noisegate_cli.' in m])"
    )
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.check_output(command, text=True, stderr=subprocess.PIPE).split()


VOICES = {"gating.detection.voice_tracker", "gating.detection.voicing"}
FEATURES = VOICES | {
    "api.excerpts",
    "api.key_input",
    "api.notebook",
    "api.other_tracks",
    "api.overviews",
    "batch",
    "files.ffmpeg.decoder",
    "files.labels",
    "files.inputs.spool",
    "files.inputs.stream",
    "files.outputs.stream",
    "gating.alignment",
    "gating.bleed",
    "gating.expander_gains",
    "gating.key",
    "gating.noise_profile",
    "gating.spectral",
    "gating.turns",
    "page",
    "plots",
    "terminal.batch_command",
}
"""Parts of ngate that a plain gate does not need."""


def test_a_plain_gate_loads_no_other_features(write, tmp_path):
    gate = ["gate", write(loud_and_quiet()), "-q", "-f", "-o", tmp_path / "out.wav"]
    automatic, fixed = loaded_parts(*gate, "-p", "music"), loaded_parts(*gate, "-t", "0.03")
    assert not FEATURES & set(automatic)
    assert not (FEATURES | {"api.first_pass", "gating.analysis"}) & set(fixed)
    assert set(loaded_parts(*gate, "--listen", "voice")) >= VOICES
    excerpt = loaded_parts(*gate, "-t", "0.03", "--start", "0.1", "--labels", tmp_path / "out.csv")
    assert {"api.excerpts", "files.labels"} <= set(excerpt)


def test_shell_completion_completes_commands_and_options():
    environment = {"_NGATE_COMPLETE": "complete_bash", "COMP_WORDS": "ngate ga", "COMP_CWORD": "1"}
    assert ngate(env=os.environ | environment).stdout.split() == ["gate"]
    environment |= {"COMP_WORDS": "ngate gate --rel", "COMP_CWORD": "2"}
    assert ngate(env=os.environ | environment).stdout.split() == ["--release"]


def test_a_closed_pipe_is_not_an_error(write):
    source = write(np.tile(loud_and_quiet(), 3))
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "noisegate_cli", "analyze", str(source)]
    process = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert process.stderr == ""


def test_sighup_is_ignored_under_nohup():
    code = (
        "import os, signal; from noisegate_cli.terminal import interrupts;"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN); interrupts.handle_signals();"
        "os.kill(os.getpid(), signal.SIGHUP); print('still here')"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "still here\n"


def test_batch_of_an_empty_folder_prints_a_message(tmp_path, capsys):
    (tmp_path / "in" / "day1").mkdir(parents=True)
    (tmp_path / "in" / ".hidden").touch()
    assert run(["batch", str(tmp_path / "in")]) == 0
    assert "no recordings in" in capsys.readouterr().err


def test_batch_of_a_folder_with_only_other_files_is_an_error(tmp_path, capsys):
    (tmp_path / "in" / "day1").mkdir(parents=True)
    (tmp_path / "in" / "day1" / "notes.txt").touch()
    assert run(["batch", str(tmp_path / "in")]) == 1
    message = capsys.readouterr().err
    assert "contains no recordings, only other files" in message
    assert "--from-file" in message
    (tmp_path / "in" / "a.wav").touch()
    assert run(["batch", str(tmp_path / "in"), "--include", "*.flac"]) == 1
    assert "no recording below" in capsys.readouterr().err


@pytest.mark.parametrize("pattern", ["*.wav", "take?.wav"])
def test_a_pattern_that_matches_no_file_is_an_error(pattern, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(["gate", pattern]) == 1
    assert capsys.readouterr().err == f"ngate: no file matches {pattern!r}: check the name\n"


def test_batch_into_a_file_is_refused(tmp_path, write, capsys):
    write(tone(1, 0.1), "in/a.wav")
    (tmp_path / "out").touch()
    assert run(["batch", str(tmp_path / "in"), "-o", str(tmp_path / "out")]) == 1
    assert "is not a folder" in read_error_line(capsys)


def test_output_is_ascii_on_an_ascii_terminal(write):
    source = write(np.tile(loud_and_quiet(), 5), "ひと.wav")
    process = ngate(
        "analyze", source, env=os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    )
    assert process.returncode == 0
    assert process.stdout.isascii()
    assert "<-- -t -" in process.stdout


LONG_CALL = """
import hashlib, sys
from noisegate_cli.files.unfinished import remove_when_left
from noisegate_cli.terminal import interrupts

interrupts.handle_signals()
interrupts.exit_from_long_calls()
with remove_when_left(sys.argv[1]):
    open(sys.argv[1], "w").close()
    print("ready", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
"""


@pytest.mark.skipif(os.name == "nt", reason="sends signals")
def test_a_signal_during_a_long_call_of_a_library_ends_the_process(tmp_path):
    command = [sys.executable, "-c", LONG_CALL, tmp_path / "partial"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (128 + signal.SIGTERM, "ngate: interrupted\n")
    assert not (tmp_path / "partial").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_removes_partial_files_and_sets_the_status(tmp_path, number):
    arguments = ["gate", "-", "-o", str(tmp_path / "out.wav"), "-t", "0.03"]
    with start_with_open_input(arguments) as process:
        process.stdin.write(SPEECH.read_bytes()[:200_000])
        process.stdin.flush()
        while not list(tmp_path.iterdir()):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        assert process.stderr.read() == b"ngate: interrupted\n"
    assert process.returncode == 128 + number
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="looks at the signal handlers in /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_during_imports_prints_one_line(number):
    with start_with_open_input(["analyze", "-"]) as process:
        wait_for_handlers(process)
        process.send_signal(number)
        assert process.stderr.read() == b"ngate: interrupted\n"
    assert process.returncode == 128 + number


def start_with_open_input(arguments):
    """Start the command line; it cannot end before its input is closed."""
    command = [sys.executable, "-m", "noisegate_cli", *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)


def test_help_shows_the_cluster_option_with_an_address(capsys):
    run(["batch", "--help"])
    assert re.search(r"--cluster +ADDRESS +", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["", "-o", "out"], "it is empty: is a shell variable unset?"),
        ([".", "-o", ""], "it is empty: is a shell variable unset?"),
        ([".", "-o", "out", "--timeout", "nan"], "timeout nan is out of range: give --timeout"),
        ([".", "-o", "out", "--timeout", "1e300"], "timeout 1e+300 is out of range"),
    ],
)
def test_a_batch_refuses_an_empty_name_and_a_timeout_that_is_not_a_time(
    tmp_path, monkeypatch, capsys, write, arguments, message
):
    source = write(loud_and_quiet())
    monkeypatch.chdir(tmp_path)
    assert run(["batch", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [source]
