"""What to gate, how, and where to: the parameters of `gate_file` as a value."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from noisegate_cli.api.inputs import list_inputs
from noisegate_cli.errors import SettingsError
from noisegate_cli.files.outputs.naming import OutputOptions
from noisegate_cli.gating.forced import NOT_FORCED, ForcedSegments
from noisegate_cli.gating.settings import GateSettings

if TYPE_CHECKING:
    from noisegate_cli.api.excerpts import Excerpt
    from noisegate_cli.files.raw_format import RawFormat

DEFAULT_OPTIONS = OutputOptions()


class GateTask(NamedTuple):
    """A recording to gate. See `gate_file` for the fields that are not documented here."""

    path: str | Path
    output: str | Path | None
    settings: GateSettings
    forced: ForcedSegments = NOT_FORCED
    """The segments of `segments`, `keep` and `cut`."""
    segments_path: str | Path | None = None
    """Path of the label file that `forced` was read from."""
    against: Sequence[str | Path] = ()
    skip_unreadable: bool = False
    """Whether other tracks that cannot be read are not used, and cause a warning."""
    key: str | Path | None = None
    excerpt: "Excerpt | None" = None
    residue: str | Path | None = None
    labels: str | Path | None = None
    comparison: str | Path | None = None
    plot: str | Path | None = None
    options: OutputOptions = DEFAULT_OPTIONS
    raw: "RawFormat | None" = None
    force: bool = False
    fsync: bool = False
    with_peak: bool = False

    def check(self) -> None:
        """Raise SettingsError if fields exclude each other."""
        if self.plot and self.excerpt:
            raise SettingsError("a plot shows the whole recording: omit plot= or the excerpt")

    @property
    def can_stream(self) -> bool:
        """Whether one pass is enough, provided that the settings need no first pass."""
        return self.excerpt is None and self.key is None and not self.against

    @property
    def inputs(self) -> dict[str, Path]:
        """Paths of the files that are only read, by their description."""
        return list_inputs(
            Path(self.path), self.settings.noise_file, self.segments_path, self.key, self.against
        )
