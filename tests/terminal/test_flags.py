"""Messages of the library name Python parameters; on the command line they name flags."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest

import noisegate_cli
from noisegate_cli import AudioError, GateSettings, OutputError, SettingsError, gate, gate_file
from noisegate_cli.terminal.cli import run
from noisegate_cli.terminal.flags import FLAGS, to_flags
from tests.conftest import loud_and_quiet


def test_every_parameter_is_translated_with_any_value():
    for name, flag in FLAGS.items():
        assert to_flags(f"give {name}=3 or {name}='x y'") == f"give {flag} 3 or {flag} x y"
        assert to_flags(f"{name}=True is needed") == f"{flag} is needed"


def test_quoted_text_is_not_translated():
    assert to_flags("'force=True' is a path") == "'force=True' is a path"
    assert to_flags("enforce=True is a word") == "enforce=True is a word"


def test_messages_name_parameters_in_python_and_flags_on_the_command_line(write, capsys):
    source = write(loud_and_quiet(), "in.wav")
    gate_file(source)
    with pytest.raises(OutputError, match="force=True overwrites it") as error:
        gate_file(source)
    assert "--" not in str(error.value)
    assert run(["gate", str(source)]) == 1
    assert capsys.readouterr().err.rstrip().endswith("exists already: --force overwrites it")


def test_no_message_about_settings_or_samples_names_a_flag():
    y = np.array([0.0, np.nan])
    with pytest.raises(AudioError, match="nonfinite='zero'") as nonfinite:
        gate(y, 8000)
    with pytest.raises(SettingsError, match="hop_length=512") as hop:
        GateSettings(frame_length=2048, hop_length=1)
    assert "--" not in f"{nonfinite.value} {hop.value}"


def test_no_message_about_files_or_batches_names_a_flag():
    package = Path(noisegate_cli.__file__).parent
    for wing in ("batch", "files"):
        for path in (package / wing).glob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            for node in ast.walk(tree):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    flags = re.findall(r"(?:^--|\s--?)[a-z]", node.value)
                    assert id(node) in docstrings or not flags, f"{path}: {node.value}"


def test_messages_of_a_batch_name_flags_on_the_command_line(tmp_path, capsys):
    for options, message in (
        (["-o", str(tmp_path)], "is the input tree: give another output with -o"),
        (["-t", "0.1", "--shared-threshold"], "leave out -t, or what shares one"),
        (["-j", "1", "--cluster", "tcp://x:1"], "--jobs is for this machine"),
        (["--timeout", "9", "--cluster", "tcp://x:1"], "--timeout is for this machine, a cluster"),
        (["--from-file", "nowhere"], "give --from-file a file"),
    ):
        assert run(["batch", str(tmp_path), *options]) in (1, 2)
        assert message in capsys.readouterr().err
