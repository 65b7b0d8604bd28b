"""Pages made from the tables in the code: the reference, layouts field by field, what conforms to which clause.

python docs/generate.py [FOLDER]        writes docs/generated/, or FOLDER
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import pkgutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import ccsds
from ccsds.layout import Layout

sys.path.insert(0, str(Path(__file__).resolve().parent))
import pics  # beside this file, which is run as a script and loaded by conf.py

ROOT = Path(__file__).resolve().parents[1]
CONFORMANCE = ROOT / "docs" / "conformance.toml"
CODEC_PACKAGES = ("ccsds.packets", "ccsds.frames", "ccsds.security", "ccsds.transport")
GUIDE = ("getting-started", "command-line", "receiving", "sending", "commanding")
OUTSIDE_THE_GUIDE = {"index", "reference", "conformance", "glossary"}
REFERENCE = (
    "ccsds.errors",
    "ccsds.layout",
    "ccsds.registry",
    "ccsds.packets",
    "ccsds.frames",
    "ccsds.coding",
    "ccsds.security",
    "ccsds.procedures",
    "ccsds.transport",
    "ccsds.link",
    "ccsds.testing",
    "netmap_io",
    "netmap_io.drivers",
)


def layouts() -> Iterator[tuple[str, str, Layout]]:
    """(module, name, layout) of every layout that a codec module declares."""
    for package_name in CODEC_PACKAGES:
        if importlib.util.find_spec(package_name) is None:
            continue
        package = importlib.import_module(package_name)
        for found in sorted(pkgutil.iter_modules(package.__path__), key=lambda item: item.name):
            module = importlib.import_module(f"{package_name}.{found.name}")
            for name, value in vars(module).items():
                if isinstance(value, Layout) and _declared_in(module.__file__, name):
                    yield module.__name__, name, value


def _declared_in(path: str | None, name: str) -> bool:
    assert path is not None
    body = ast.parse(Path(path).read_text(encoding="utf-8")).body
    return any(
        isinstance(node, ast.Assign | ast.AnnAssign)
        and any(isinstance(target, ast.Name) and target.id == name for target in _targets(node))
        for node in body
    )


def _targets(node: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target]


def layouts_page() -> str:
    """One table per layout, the one that the codec cuts by."""
    parts = ["# Layouts\n\nEvery header as the code declares it; bits count from the first one transmitted.\n"]
    for module, name, layout in layouts():
        title = layout.name[:1].upper() + layout.name[1:]
        parts.append(
            f"## {title}\n\n{layout.document}, `{module}.{name}`, {layout.octets} octets.\n\n{layout.markdown()}"
        )
    return "\n".join(parts)


def public_modules() -> Iterator[ModuleType]:
    """Modules with something to use, in the order of the reference."""
    for name in REFERENCE:
        if importlib.util.find_spec(name) is None:
            continue
        module = importlib.import_module(name)
        yield module
        for found in sorted(pkgutil.iter_modules(getattr(module, "__path__", [])), key=lambda item: item.name):
            if not found.ispkg and not found.name.startswith("_"):
                yield importlib.import_module(f"{name}.{found.name}")


def own_members(module: ModuleType) -> list[str]:
    """Classes and functions of `__all__` that are defined here, and not only passed on."""
    names = [name for name in getattr(module, "__all__", ()) if hasattr(module, name)]
    return [name for name in names if getattr(getattr(module, name), "__module__", None) == module.__name__]


def reference_page() -> str:
    """A section per module; what is in it comes from its docstrings."""
    parts = ["# Modules\n"]
    for module in public_modules():
        members = own_members(module)
        if members:
            parts.append(
                f"## {module.__name__}\n\n```{{eval-rst}}\n.. automodule:: {module.__name__}\n"
                f"   :members: {', '.join(members)}\n   :member-order: bysource\n   :exclude-members: ALIASES\n```\n"
            )
    return "\n".join(parts)


def guide_toctree() -> str:
    """The pages of the guide that are there: the first ones in their order, then any other, then the units."""
    docs = ROOT / "docs"
    others = sorted({page.stem for page in docs.glob("*.md")} - {*GUIDE, *OUTSIDE_THE_GUIDE})
    units = sorted(f"units/{page.stem}" for page in docs.glob("units/*.md"))
    entries = "\n".join([*GUIDE, *others, *units])
    return f"```{{toctree}}\n:hidden:\n:caption: Guide\n\n{entries}\n```\n"


def conformance_rows() -> list[dict[str, str]]:
    """The rows of conformance.toml."""
    with CONFORMANCE.open("rb") as file:
        rows = tomllib.load(file)["row"]
    assert isinstance(rows, list)
    return rows


def conformance_table() -> str:
    """The rows as Markdown, sorted by document and clause."""
    lines = ["| document | clause | unit | status | code | tests |", "|---|---|---|---|---|---|"]
    for row in sorted(conformance_rows(), key=lambda row: (row["document"], pics.clause_order(row["clause"]))):
        status = row["status"] + (f": {row['note']}" if "note" in row else "")
        lines.append(
            f"| {row['document']} | {row['clause']} | {row['unit']} | {status} | `{row['code']}` | `{row['tests']}` |"
        )
    return "\n".join(lines) + "\n"


def write_all(folder: Path) -> None:
    """Write the generated pages into `folder`, touching only those that changed."""
    folder.mkdir(exist_ok=True)
    pages = {
        "layouts.md": layouts_page,
        "modules.md": reference_page,
        "conformance-table.md": conformance_table,
        "pics.md": pics.page,
        "guide-toctree.md": guide_toctree,
    }
    for name, page in pages.items():
        path, text = folder / name, page()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) > 2 or any(argument.startswith("-") for argument in sys.argv[1:]):
        sys.exit((__doc__ or "").rstrip())
    write_all(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "generated")
    print(f"pages of ccsds-link {ccsds.__version__} written")
