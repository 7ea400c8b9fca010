"""Find the numeric constants of the gating core, and import the package with other values."""

import ast
import contextlib
import importlib
import math
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import TypeAlias

CORE = Path(__file__).parent.parent.parent / "noisegate_cli" / "gating"
FACTORS = (0.5, 0.71, 1.41, 2.0)

Value: TypeAlias = "float | tuple[Value, ...]"

NEIGHBOURS: dict[str, tuple[Value, ...]] = {
    "analysis.MIN_RARE_PEAK_DB": (14.0, 17.0, 23.0, 26.0),
    "bleed.model.OWN_ABOVE": (-0.2, -0.1, 0.1, 0.2),
    "cutoffs.MIN_AUDIBLE_DBFS": (-72.0, -66.0, -54.0, -48.0),
    "cutoffs.MIN_AUDITED_RANGE_DB": (-24.0, -12.0, -3.0),
    "detection.signal_model.MODEL_DEPTH_DB": (40.0, 50.0, 70.0, 80.0),
    "detection.signal_model.START_LOUD_QUANTILE": (0.9, 0.95, 0.98, 0.995),
    "detection.threshold.MAX_PLAUSIBLE_LEVEL_DBFS": (0.0, 5.0, 15.0, 20.0),
    "frames.subsampling.MAX_SUBSAMPLE_FRAMES": (1024, 2048, 4096, 32768),
    "spectral.wiener.MAX_SEGMENT_FRAMES": (4, 8, 32, 64),
    "spectral.wiener.MAX_SMOOTHING_FACTOR": (0.85, 0.9, 0.96, 0.99),
    "spectral.wiener.PRESENCE_GROUPS": (4, 8, 32, 64),
    "spectral.wiener.ABSENT_GAIN_DB": (-36.0, -30.0, -18.0, -12.0),
    "spectral.wiener.RUN_IN_DIVISOR": (1, 4, 8),
    "timing.DEFAULT_OVERLAP": (2, 8, 16),
}
"""Values to try for constants that a factor does not suit: shares near 1, levels, powers of two."""


def find_constants() -> dict[str, Value]:
    """Return the numeric module-level constants of the gating core, by MODULE.NAME."""
    constants = {}
    for path in sorted(CORE.rglob("*.py")):
        module = ".".join(path.relative_to(CORE).with_suffix("").parts)
        for statement in ast.parse(path.read_text(encoding="utf-8")).body:
            for name in _assigned_names(statement):
                if name.isupper():
                    value = getattr(importlib.import_module(f"noisegate_cli.gating.{module}"), name)
                    if _is_numeric(value):
                        constants[f"{module}.{name}"] = value
    return constants


def _assigned_names(statement: ast.stmt) -> Iterator[str]:
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign) and statement.value:
        targets = [statement.target]
    for target in targets:
        yield from (node.id for node in ast.walk(target) if isinstance(node, ast.Name))


def _is_numeric(value: object) -> bool:
    if isinstance(value, tuple):
        return bool(value) and all(map(_is_numeric, value))
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def scale(value: Value, factor: float) -> Value:
    """Multiply a value; an integer stays an integer, and changes by at least 1."""
    if isinstance(value, tuple):
        return tuple(scale(part, factor) for part in value)
    if isinstance(value, int):
        bound = (max, 1) if factor > 1 else (min, -1)
        return bound[0](round(value * factor), value + bound[1])
    return float(f"{value * factor:.3g}")


def neighbours(constant: str, value: Value, factors: Sequence[float] = ()) -> list[Value]:
    """Return the values to try for a constant, in order."""
    values = NEIGHBOURS.get(constant) if not factors else None
    values = values or tuple(scale(value, factor) for factor in factors or FACTORS)
    return sorted(set(values) - {value})


class _PatchedLoader(SourceFileLoader):
    """Load a module with a second assignment after the assignment of the constant."""

    def __init__(self, module: str, path: str, name: str, value: Value) -> None:
        super().__init__(module, path)
        self._name, self._value = name, value

    def get_code(self, fullname: str) -> CodeType:
        tree = ast.parse(Path(self.path).read_text(encoding="utf-8"))
        for number, statement in enumerate(tree.body):
            if self._name in _assigned_names(statement):
                tree.body[number + 1 : number + 1] = ast.parse(f"{self._name} = {self._value}").body
                return compile(ast.fix_missing_locations(tree), self.path, "exec")
        raise AttributeError(f"{fullname} has no constant {self._name}")


class _PatchedFinder(MetaPathFinder):
    def __init__(self, constant: str, value: Value) -> None:
        module, self._name = constant.rsplit(".", 1)
        self._module, self._value = f"noisegate_cli.gating.{module}", value

    def find_spec(self, fullname: str, path: Sequence[str] | None, *_: object) -> ModuleSpec | None:
        if fullname != self._module:
            return None
        spec = PathFinder.find_spec(fullname, path)
        assert spec is not None
        assert spec.origin is not None
        spec.loader = _PatchedLoader(fullname, spec.origin, self._name, self._value)
        return spec


@contextlib.contextmanager
def patched(constant: str, value: Value) -> Iterator[None]:
    """Import the package again with another value of one constant, until the context ends.

    Because all modules are imported again, the value also reaches modules that import the constant
    by name, and defaults, classes and constants that depend on it.
    """
    stored = {name: sys.modules.pop(name) for name in list(sys.modules) if _is_ours(name)}
    finder = _PatchedFinder(constant, value)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if _is_ours(name)]:
            del sys.modules[name]
        sys.modules.update(stored)


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == "noisegate_cli"
