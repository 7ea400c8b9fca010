"""Draw the recordings of a batch to listen to first."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from noisegate_cli.batch.plan import Plan
from noisegate_cli.batch.records import ReviewCandidate
from noisegate_cli.errors import AudioError, OutputError
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.text import quote_path

SHEET_TITLE = "ngate contact sheet"
"""Title in the metadata of a sheet: a later batch may replace only a sheet with this title."""


def check_sheet_path(path: Path) -> None:
    """Check that a sheet can be written to `path`; only an earlier sheet is overwritten.

    Raises
    ------
    OutputError
        If `path` does not have the extension of a plot, or if another file exists there.
    """
    from noisegate_cli.files.outputs.document import check_document
    from noisegate_cli.plots.style import FORMATS

    check_document(path, "plot", FORMATS, {}, force=True)
    if path.is_file() and SHEET_TITLE.encode() not in path.read_bytes():
        raise OutputError(
            f"{quote_path(path)} already exists and is not the contact sheet of a batch: "
            "give plot_path= another name"
        )


def check_sheet_is_no_recording(path: Path, plan: Plan) -> None:
    """Raise OutputError if a sheet would overwrite a file of the batch."""
    if plan.is_input_or_output(path):
        raise OutputError(
            f"{quote_path(path)} is a file of this batch: give plot_path= another name"
        )


def write_contact_sheet(
    path: Path,
    root: Path,
    candidates: Sequence[ReviewCandidate],
    settings_for: Callable[[str], GateSettings],
) -> None:
    """Gate the candidates again, and write a sheet of them; without any, there is no sheet.

    Parameters
    ----------
    path
        Path of the sheet.
    root
        Input tree.
    candidates
        Recordings to show. One that can no longer be read is omitted.
    settings_for
        Returns the settings of a recording from its name.

    Raises
    ------
    OutputError
        If the sheet cannot be written.
    """
    from noisegate_cli.api.overviews import record_file
    from noisegate_cli.files.outputs.document import write_document
    from noisegate_cli.plots.contact_sheet import SheetEntry, draw_contact_sheet
    from noisegate_cli.plots.style import render

    entries = []
    for candidate in candidates:
        source = Path(os.path.join(root, candidate.name))
        try:
            overview = record_file(source, settings_for(candidate.name), with_output=False)
        except AudioError:
            continue
        entries.append(SheetEntry(candidate.name, candidate.reason, overview))
    if not entries:
        return
    figure = draw_contact_sheet(
        entries, f"{root.name or root}: recordings to review first (gray: closed, ▲: cut-off)"
    )
    content = render(figure, path.suffix.lower().removeprefix("."), SHEET_TITLE)
    check_sheet_path(path)
    write_document(path, content, force=True)
