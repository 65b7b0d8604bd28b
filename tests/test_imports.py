"""Imports point one way (docs/decisions/0003-import-direction.md).  Read with ast, so that late imports count too."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(path for package in ("ccsds", "netmap_io") for path in (ROOT / package).rglob("*.py"))

# A layer imports from its own row and the rows below it.
ROWS = (
    ("cli", "interop", "testing"),
    ("link",),
    ("transport", "procedures", "security"),
    ("frames", "packets", "coding"),
    ("_unit",),
    ("layout", "errors", "registry"),
)
LEVEL = {layer: len(ROWS) - number for number, row in enumerate(ROWS) for layer in row}
# What the kernels are bound in has no layer; the package itself holds names that load late, and the version.
ANYWHERE = {"_native", ""}

BELOW_ADAPTERS = {"numpy", "bitstring", "scapy", "hypothesis"}

MAY_CROSS = {"netmap_io/unikernel/space_link.py"}
# They make damaged streams and their truth, to which the decoder is held.
TRUTH_MAKERS = ("ccsds/testing/impaired_stream", "ccsds/testing/transmitter")
TRUTH_MAKERS_NAMES = ("ccsds.errors", *(path.replace("/", ".") for path in TRUTH_MAKERS))
SCAPY_HOME = "ccsds/interop/scapy.py"


def imports(source: str, module: str, is_package: bool) -> Iterator[tuple[int, str]]:
    """Line and absolute name of everything that the source imports, wherever it stands."""
    parts = module.split(".")
    base = parts if is_package else parts[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield node.lineno, name.name
        elif isinstance(node, ast.ImportFrom):
            prefix = base[: len(base) - node.level + 1] if node.level else []
            origin = ".".join([*prefix, *([node.module] if node.module else [])])
            for name in node.names:
                yield node.lineno, f"{origin}.{name.name}"
        elif isinstance(node, ast.Call) and _is_import_call(node.func) and node.args:
            target = node.args[0]
            if isinstance(target, ast.Constant) and isinstance(target.value, str):
                yield node.lineno, target.value


def _is_import_call(function: ast.expr) -> bool:
    return (isinstance(function, ast.Attribute) and function.attr == "import_module") or (
        isinstance(function, ast.Name) and function.id in ("import_module", "__import__")
    )


def layer_of(name: str) -> tuple[str, str]:
    """Package and layer of a dotted name: ("ccsds", "frames") for ccsds.frames.tm."""
    package, _, rest = name.partition(".")
    return package, rest.partition(".")[0]


def complaints(path: str, source: str) -> list[str]:
    """What the import direction has to say against a module; `path` is relative to the repository."""
    pieces = path.removesuffix(".py").split("/")
    is_package = pieces[-1] == "__init__"
    module = ".".join(pieces[:-1] if is_package else pieces)
    package, layer = layer_of(module)
    found = []
    for line, name in imports(source, module, is_package):
        target_package, target_layer = layer_of(name)
        for reason in reasons(path, package, layer, target_package, target_layer, name):
            found.append(f"{path}:{line}: {reason}")
    return found


def reasons(path: str, package: str, layer: str, target_package: str, target: str, name: str) -> Iterator[str]:
    if target_package == "scapy" and path != SCAPY_HOME:
        yield f"imports {name}: scapy is GPL-2.0 and stays in {SCAPY_HOME}"
    if layer in ("layout", "errors") and target_package in BELOW_ADAPTERS:
        yield f"imports {name}: layouts and errors are pure data"
    if layer in ("layout", "errors") and target_package not in {"ccsds", *sys.stdlib_module_names}:
        yield f"imports {name}: layouts and errors need the standard library only"
    if {package, target_package} == {"ccsds", "netmap_io"} and layer != "cli" and path not in MAY_CROSS:
        yield f"imports {name}: ccsds and netmap_io meet in their cli packages and in space_link only"
    if path.startswith(TRUTH_MAKERS) and target_package == "ccsds" and not name.startswith(TRUTH_MAKERS_NAMES):
        yield f"imports {name}: it makes the truth that the decoder is held to, and shares nothing with it"
    if package == target_package == "ccsds" and layer not in ANYWHERE and target in LEVEL:
        if layer not in LEVEL:
            yield f"the layer '{layer}' has no place in the table of this test"
        elif LEVEL[target] > LEVEL[layer]:
            yield f"imports {name}: {layer} is below {target}"


@pytest.mark.parametrize("path", MODULES, ids=[str(path.relative_to(ROOT)) for path in MODULES])
def test_imports_point_down(path: Path) -> None:
    assert complaints(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) == []


def test_every_part_of_ccsds_has_its_layer() -> None:
    parts = {path.stem for path in (ROOT / "ccsds").glob("*.py")} | {
        path.parent.name for path in (ROOT / "ccsds").glob("*/__init__.py")
    }
    assert parts - {"__init__", "missions"} <= set(LEVEL)


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("ccsds/frames/tm.py", "from ccsds.link import receiver", "frames is below link"),
        ("ccsds/frames/tm.py", "def f():\n    import ccsds.link.receiver", "frames is below link"),
        ("ccsds/frames/tm.py", "from ..procedures import farm1", "frames is below procedures"),
        ("ccsds/frames/__init__.py", "from ..link import receiver", "frames is below link"),
        ("ccsds/frames/tm.py", "from .. import link", "frames is below link"),
        ("ccsds/frames/tm.py", "importlib.import_module('ccsds.link')", "frames is below link"),
        ("ccsds/layout.py", "import numpy", "pure data"),
        ("ccsds/errors.py", "import msgspec", "standard library only"),
        ("ccsds/layout.py", "from ccsds._unit import Unit", "layout is below _unit"),
        ("ccsds/link/receiver.py", "import netmap_io", "meet in their cli"),
        ("netmap_io/port.py", "from ccsds.frames import tm", "meet in their cli"),
        ("ccsds/link/columns.py", "import scapy.packet", "GPL"),
        ("ccsds/testing/impaired_stream.py", "from ccsds.coding import x", "shares nothing"),
        ("ccsds/testing/transmitter/coding.py", "from ccsds import _native", "shares nothing"),
        ("ccsds/newcomer/x.py", "from ccsds.frames import tm", "has no place"),
    ],
)
def test_a_wrong_import_is_seen(path: str, source: str, expected: str) -> None:
    assert any(expected in complaint for complaint in complaints(path, source))


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("ccsds/frames/tm.py", "from ccsds.coding import crc\nfrom ccsds import _native, errors\nimport numpy"),
        ("ccsds/cli/replay.py", "import netmap_io.drivers\nfrom ccsds.link import receiver\nimport ccsds"),
        ("ccsds/testing/impaired_stream.py", "from ccsds.testing.transmitter.coding import x\nimport numpy"),
        ("netmap_io/cli/main.py", "from ccsds.cli.style import Command"),
        ("netmap_io/unikernel/space_link.py", "from ccsds.link import receiver"),
        ("ccsds/interop/scapy.py", "from scapy.packet import Packet\nfrom ccsds.frames import tm"),
    ],
)
def test_a_right_import_passes(path: str, source: str) -> None:
    assert complaints(path, source) == []
