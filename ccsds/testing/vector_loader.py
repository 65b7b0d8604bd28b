"""The published test vectors that ship with the package: one folder per document, one file per subject."""

from __future__ import annotations

import difflib
import tomllib
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

__all__ = ["load_vectors", "vector_files"]


def _folder() -> Traversable:
    return files("ccsds.testing") / "vectors"


def vector_files() -> list[str]:
    """The names that `load_vectors` takes, such as "133.0-B-2/space_packet.toml"."""
    return sorted(
        f"{document.name}/{entry.name}"
        for document in _folder().iterdir()
        if document.is_dir()
        for entry in document.iterdir()
        if entry.name.endswith(".toml")
    )


def load_vectors(name: str) -> list[dict[str, Any]]:
    """The cases of one file, in order, as dictionaries that the caller may change.

    Each has `kind` (what it is good for; `wrong` and `reject` are what must not be produced or accepted), `id`,
    `source` (document and clause, or project and test), `verified` (reproduced independently) and `how`.
    Octets are hex strings.

    Raises: ValueError: no such file; the message has the nearest names.
    """
    known = vector_files()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
        raise ValueError(f"no vectors {name!r}; nearest: {', '.join(near or known)}")
    document, _, entry = name.partition("/")
    cases: list[dict[str, Any]] = tomllib.loads((_folder() / document / entry).read_text(encoding="utf-8"))["case"]
    return cases
