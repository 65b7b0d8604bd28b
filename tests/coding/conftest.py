"""Published vectors as parameters: a test marked `vectors(file, table)` runs once per entry as `vector`."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

VECTORS = Path(__file__).parents[2].parent / "shared" / "vectors"


Tables = dict[str, list[dict[str, Any]]]


def read(file: str) -> Tables:
    return tomllib.loads((VECTORS / file).read_text())


@pytest.fixture
def tables() -> Callable[[str], Tables]:
    """All tables of a file, for an entry that leans on another one."""
    return read


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "vectors(file, table, having=key): once per entry (with that key) of a table of vectors",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("vectors")
    if marker is None:
        return
    file, table = marker.args
    if not (VECTORS / file).exists():
        absent = pytest.param({}, marks=pytest.mark.skip(reason=f"{file} is not beside the project directory"))
        metafunc.parametrize("vector", [absent], ids=["absent"])
        return
    wanted = marker.kwargs.get("having")
    entries = [entry for entry in read(file)[table] if wanted is None or wanted in entry]
    metafunc.parametrize("vector", entries, ids=[entry["id"] for entry in entries])
