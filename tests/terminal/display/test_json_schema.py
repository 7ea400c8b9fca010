import json
import shutil
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from docs.json_page import PAGE, build_page
from noisegate_cli import __version__
from noisegate_cli.batch.manifest import MANIFEST_NAME
from noisegate_cli.batch.records import SEGMENTS_KEY
from noisegate_cli.terminal.cli import run
from noisegate_cli.terminal.display.json_data import SCHEMA_VERSION
from tests.conftest import SPEECH, loud_and_quiet, tone

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/ngate.schema.json").read_text("utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)
NOISY_OPTIONS = [
    "--spectral",
    "--channels",
    "separate",
    "--cut",
    "0-0.1",
    "--residue",
    "removed.wav",
]


@pytest.fixture
def folder(tmp_path, monkeypatch, write):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    shutil.copy(SPEECH, "in/speech.wav")
    write(loud_and_quiet(), "in/tones.wav")
    write(tone(1, 0.0), "in/silence.wav")
    Path("in/bad.wav").write_text("no recording")


def objects(capsys, status, *arguments):
    """Run a command and return the objects that it prints, which are valid."""
    assert run([*arguments, "--json", "-q"]) == status
    out, err = capsys.readouterr()
    found = [json.loads(line) for line in out.splitlines()]
    for item in found:
        VALIDATOR.validate(item)
        assert (item["schema_version"], item["version"]) == (SCHEMA_VERSION, __version__)
        assert item["command"] == arguments[0]
        assert (item["error"] is not None) == (item["status"] == "failed")
        assert item["error"] is None or f"ngate: {item['error']}\n" in err
    return found


def test_the_schema_is_valid_and_has_a_current_page():
    Draft202012Validator.check_schema(SCHEMA)
    assert PAGE.read_text(encoding="utf-8") == build_page(), "run python -m docs.json_page"


def test_gate_prints_valid_data(folder, capsys):
    for options in ([], ["-t", "-25dB", "--range", "mute"], NOISY_OPTIONS):
        (data,) = objects(capsys, 0, "gate", "in/speech.wav", "-f", *options)
        assert data["status"] == "done"
    (data,) = objects(capsys, 0, "gate", "in/silence.wav")
    assert data["noise_floor_db"] is None


def test_analyze_prints_valid_data(folder, capsys):
    for options in ([], ["-t", "-25dB"], ["--spectral"], ["--labels", "a.csv"]):
        (data,) = objects(capsys, 0, "analyze", "in/speech.wav", *options)
        assert data["status"] == "done"
    found = objects(capsys, 1, "analyze", "in")
    assert sorted(item["status"] for item in found) == ["done", "done", "done", "failed"]


def test_batch_prints_valid_data(folder, capsys):
    statuses = {}
    for options in (["--dry-run"], [], []):
        found = objects(capsys, 1, "batch", "in", "-j", "1", *options)
        statuses |= {(item["file"], item["status"]): item["status_reason"] for item in found}
    assert statuses == {
        ("in/bad.wav", "failed"): None,
        **{
            (f"in/{name}.wav", status): reason
            for name in ("silence", "speech", "tones")
            for status, reason in (("pending", "new"), ("done", "new"), ("skipped", "already done"))
        },
    }


def test_failures_are_valid_data(folder, capsys):
    for arguments, status in (
        (["gate", "in/bad.wav"], 1),
        (["gate", "no.wav"], 1),
        (["gate", "in/tones.wav", "-o", "in/tones.wav"], 1),
        (["analyze", "in/bad.wav"], 1),
        (["batch", "no"], 1),
    ):
        (data,) = objects(capsys, status, *arguments)
        assert data["status"] == "failed"
        assert data["file"] == arguments[1]
        assert data["error_code"] == ("ENOENT" if arguments[1].startswith("no") else None)


def test_a_recording_that_is_missing_in_a_batch_has_the_code_of_the_error(folder, capsys):
    Path("in/gone.wav").symlink_to("nothing.wav")
    rows = {row["file"]: row for row in objects(capsys, 1, "batch", "in", "-o", "out")}
    assert rows["in/gone.wav"]["error_code"] == "ENOENT"
    assert rows["in/bad.wav"]["error_code"] is None


@pytest.mark.parametrize("command", ["gate", "analyze", "batch"])
def test_usage_errors_are_valid_data(folder, capsys, command):
    for arguments in (
        ["--no-such-option"],
        ["in", "-t", "loud"],
        ["in", "--hold", "-1", "-p", "x"],
    ):
        (data,) = objects(capsys, 2, command, *arguments)
        assert data["status"] == "failed"
        assert data["file"] == (None if len(arguments) == 1 else "in")


def test_only_a_failure_that_is_requested_as_data_prints_data(folder, capsys):
    assert run(["gate", "in/bad.wav", "-q"]) == 1
    assert run(["gate", "--no-such-option"]) == 2
    assert run(["no-such-command", "--json"]) == 2
    assert capsys.readouterr().out == ""


def test_a_field_has_the_same_value_in_all_commands(folder, capsys):
    source = "in/speech.wav"
    (gated,) = objects(capsys, 0, "gate", source)
    (analyzed,) = objects(capsys, 0, "analyze", source, "--labels", "a.csv")
    batch = objects(capsys, 0, "batch", "in", "-j", "1", "--include", "speech.wav")[0]
    own = {"command", "output", "peak_db", "seconds", "subtype", "warnings", "noises"}
    assert batch["segments"]
    assert SEGMENTS_KEY not in (Path("in-gated") / MANIFEST_NAME).read_text()
    assert {k: v for k, v in gated.items() if k in batch and k not in own} == {
        k: v for k, v in batch.items() if k in gated and k not in own
    }
    estimated = {"closed_share", "openings_per_minute", "threshold", "threshold_db", *own}
    for name in (gated.keys() & analyzed.keys()) - estimated:
        assert gated[name] == analyzed[name], name


def test_mute_differs_from_the_default_range(folder, capsys):
    (muted,) = objects(capsys, 0, "gate", "in/speech.wav", "--range", "mute")
    (default,) = objects(capsys, 0, "gate", "in/speech.wav", "-f")
    assert (muted["settings"]["range_db"], default["settings"]["range_db"]) == ("mute", None)
    assert muted["range_db"] == default["range_db"] == "mute"


def test_the_schema_refuses_other_data(folder, capsys):
    (data,) = objects(capsys, 0, "gate", "in/tones.wav", "-t", "0.03")
    for change in ({"cutoffs": 3}, {"new": 1}, {"status": "ok"}, {"range_db": None}):
        assert not VALIDATOR.is_valid(data | change), change
