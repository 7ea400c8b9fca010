"""The figure of all pictures; the module loads matplotlib."""

from matplotlib.figure import Figure


class Picture(Figure):
    """Figure that is not known to pyplot, and that a notebook shows as other figures."""

    def _repr_png_(self) -> bytes:
        from noisegate_cli.plots.style import render

        return render(self, "png")
