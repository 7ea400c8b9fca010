"""Give a function the parameters that Typer turns into options."""

from collections.abc import Callable, Sequence
from functools import wraps
from inspect import Parameter, Signature
from typing import Any


def replace_parameters(
    command: Callable[..., None], run: Callable[..., None], parameters: Sequence[Parameter]
) -> Callable[..., None]:
    """Return a function that is named and documented as `command` and calls `run`.

    Typer asks `inspect.signature` for the parameters, which returns the attribute `__signature__`
    if a function has one (PEP 362). Nothing else in ngate depends on this.

    Parameters
    ----------
    command
        Function with the name and the documentation.
    run
        Function that takes the parameters as keyword arguments.
    parameters
        Parameters that Typer sees.
    """

    @wraps(command)
    def replaced(**arguments: Any) -> None:
        run(**arguments)

    replaced.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return replaced
