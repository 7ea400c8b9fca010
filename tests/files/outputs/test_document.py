import pytest

from noisegate_cli.errors import OutputError, OutputExistsError
from noisegate_cli.files.outputs import atomic as atomic_output
from noisegate_cli.files.outputs.document import check_document, write_document


def test_a_document_appears_complete_in_a_new_folder(tmp_path):
    path = tmp_path / "new" / "out.png"
    write_document(path, b"content", fsync=True)
    assert path.read_bytes() == b"content"
    assert [p.name for p in path.parent.iterdir()] == ["out.png"]


def test_only_force_replaces_an_existing_document(tmp_path):
    path = tmp_path / "out.png"
    path.write_bytes(b"old")
    with pytest.raises(OutputExistsError, match="force=True"):
        write_document(path, b"new")
    assert path.read_bytes() == b"old"
    write_document(path, b"new", force=True)
    assert path.read_bytes() == b"new"


def test_a_document_that_appears_in_the_meantime_is_not_replaced(tmp_path, monkeypatch):
    path = tmp_path / "out.png"
    rename = atomic_output.rename_without_replacing

    def appear_before(partial, target):
        target.write_bytes(b"other")
        rename(partial, target)

    monkeypatch.setattr(atomic_output, "rename_without_replacing", appear_before)
    with pytest.raises(OutputExistsError):
        write_document(path, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["out.png"]
    assert path.read_bytes() == b"other"


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def fail(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic_output, "sync_file", fail)
    with pytest.raises(OutputError, match=r"out.svg' cannot be written: No space left"):
        write_document(tmp_path / "new" / "out.svg", b"content", fsync=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["out", "out.jpg", "out.png.txt", "-", "out.PNG/"])
def test_a_name_with_another_extension_is_refused(tmp_path, name):
    if name.endswith("/"):
        (tmp_path / "out.PNG").mkdir()
    with pytest.raises(OutputError) as error:
        check_document(tmp_path / name, "picture", ("png", "pdf", "svg"), {}, force=True)
    assert "end the name in .png, .pdf or .svg" in str(error.value) or "is a folder" in str(
        error.value
    )


def test_a_document_cannot_replace_another_file_of_the_call_even_through_a_link(tmp_path):
    source = tmp_path / "in.png"
    source.write_bytes(b"recording")
    link = tmp_path / "link.png"
    link.symlink_to(source)
    with pytest.raises(OutputError, match=r"link.png' is the input: give the picture another name"):
        check_document(link, "picture", ("png",), {"the input": source}, force=True)
