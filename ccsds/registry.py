"""Registry: numbers that an authority assigns and may assign more of.  Values stay `int`; unknown ones survive."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Registry", "Row"]


class Row(NamedTuple):
    """One assigned value and its name."""

    value: int
    name: str


class Registry:
    """A table of assigned values.

    Args: name: the field it belongs to.  bits: width of that field.  source: who keeps it and where it is printed.
          rows: the assigned values.  Raises ValueError: a value twice, a name twice, or a value wider than the field.
    """

    __slots__ = ("_names", "_values", "bits", "name", "rows", "source")

    def __init__(self, name: str, *, bits: int, source: str, rows: tuple[Row, ...]) -> None:
        self.name = name
        self.bits = bits
        self.source = source
        self.rows = rows
        self._names = {row.value: row.name for row in rows}
        self._values = {row.name: row.value for row in rows}
        if len(self._names) != len(rows) or len(self._values) != len(rows):
            raise ValueError(f"{name}: a value or a name is listed twice")
        if any(not 0 <= row.value < 1 << bits for row in rows):
            raise ValueError(f"{name}: a value does not fit into {bits} bits")

    def name_of(self, value: int) -> str | None:
        """The name of a value; None while nobody has assigned it."""
        return self._names.get(value)

    def value_of(self, name: str) -> int:
        """The value of a name.  Raises KeyError with the nearest names."""
        try:
            return self._values[name]
        except KeyError:
            near = difflib.get_close_matches(name, self._values, n=3, cutoff=0.3)
            raise KeyError(f"{self.name} has no {name!r}; nearest: {', '.join(near or self._values)}") from None

    def __contains__(self, value: object) -> bool:
        return value in self._names

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"<Registry {self.name!r}, {len(self.rows)} rows, {self.source}>"
