"""What all results have in common."""

from dataclasses import fields
from typing import Any


class Report:
    """Base class of dataclasses that are results."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name; their values are not copied.

        Examples
        --------
        >>> from noisegate_cli import CutoffReport
        >>> CutoffReport(decays=2).to_dict()
        {'decays': 2, 'attacks': 0, 'marked': ()}
        """
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
