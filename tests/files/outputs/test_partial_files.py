import os

import pytest

from noisegate_cli import GateSettings, OutputError, gate_file
from noisegate_cli.files.outputs.partial_files import partial_path, rename_without_replacing
from tests.conftest import loud_and_quiet


def refuse_links(*_):
    raise OSError("no hard links here")


@pytest.mark.parametrize("has_links", [True, False])
def test_a_rename_never_replaces_a_file(tmp_path, monkeypatch, has_links):
    if not has_links:
        monkeypatch.setattr(os, "link", refuse_links)
    path = tmp_path / "a.wav"
    partial = partial_path(path)
    partial.write_text("new")
    rename_without_replacing(partial, path)
    assert (path.read_text(), list(tmp_path.iterdir())) == ("new", [path])
    partial.write_text("newer")
    with pytest.raises(FileExistsError):
        rename_without_replacing(partial, path)
    assert (path.read_text(), partial.read_text()) == ("new", "newer")


def test_an_output_that_appears_meanwhile_is_not_replaced(tmp_path, write):
    source, output = write(loud_and_quiet()), tmp_path / "out.wav"

    def write_foreign(_: float) -> None:
        output.write_text("foreign")

    with pytest.raises(OutputError, match="already exists: force=True overwrites it"):
        gate_file(source, output, threshold=0.03, progress=write_foreign)
    assert output.read_text() == "foreign"
    assert sorted(tmp_path.iterdir()) == [source, output]


@pytest.mark.parametrize("name", ["out.wav", "out.flac", "out.m4a", "out.mka"])
def test_an_output_has_the_read_permissions_of_its_input(tmp_path, write, name):
    source = write(loud_and_quiet())
    source.chmod(0o600)
    result = gate_file(source, tmp_path / name, residue=tmp_path / f"residue-{name}")
    assert result.residue
    for path in (result.output.path, result.residue):
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["file/out.wav", "file/new/out.wav"])
def test_a_file_in_place_of_a_folder_is_named_as_the_reason(tmp_path, write, name):
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(OutputError, match="cannot be written: Not a directory"):
        gate_file(write(loud_and_quiet()), tmp_path / name, GateSettings(threshold=0.03))
    assert (tmp_path / "file").read_bytes() == b"x"
