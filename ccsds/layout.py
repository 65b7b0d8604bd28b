"""Field and Layout: one declaration of a header, and the only code that cuts bits.

A layout is data.  The scalar codec is generated from it here; numpy columns, bit dumps, hypothesis
strategies and documentation tables are made from the same fields elsewhere.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from ccsds.errors import EncodeError, TruncatedError

__all__ = ["Field", "Layout", "Octets"]

Octets = bytes | bytearray | memoryview
"""Anything contiguous that holds octets."""

_UNITS = {1: "B", 2: "H", 4: "I", 8: "Q"}


class Field(NamedTuple):
    """One field: the standard's name, its width, and the clause that defines it."""

    name: str
    bits: int
    clause: str

    @property
    def maximum(self) -> int:
        """The largest value that fits."""
        return (1 << self.bits) - 1


class Layout:
    """A row of fields, most significant bit first, that fills whole octets.

    Args: name: the unit's name in error messages.  document: the Blue Book, with its issue.
          fields: in the order in which they are transmitted.
    """

    __slots__ = ("_bit_offsets", "document", "fields", "name", "names", "octets", "pack_values", "values")

    values: Callable[..., tuple[int, ...]]
    """values(octets, at=0): the fields of the header that starts at octet `at`, in order.

    Raises: TruncatedError: the header does not fit into what is left.
    """
    pack_values: Callable[..., bytes]
    """pack_values(*values): the octets of a header whose fields are given in order; raises EncodeError as `pack`."""

    def __init__(self, name: str, document: str, *fields: Field) -> None:
        bits = sum(field.bits for field in fields)
        if bits % 8 or not bits:
            raise ValueError(f"{name}: {bits} bits do not fill octets")
        self.name = name
        self.document = document
        self.fields = fields
        self.names = tuple(field.name for field in fields)
        self.octets = bits // 8
        if len(set(self.names)) != len(fields) or any(field.bits < 1 for field in fields):
            raise ValueError(f"{name}: field names must differ and have at least one bit")
        offsets, at = {}, 0
        for field in fields:
            offsets[field.name] = at
            at += field.bits
        self._bit_offsets = offsets
        self.values = _generate_unpack(self)
        self.pack_values = _generate_pack(self)

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)

    def __getitem__(self, name: str) -> Field:
        return self.fields[self.names.index(name)]

    def __repr__(self) -> str:
        return f"<Layout {self.name!r}, {self.octets} octets, {self.document}>"

    def bit_offset(self, name: str) -> int:
        """Bits before the field `name`, counted from the first bit transmitted."""
        return self._bit_offsets[name]

    def clause(self, name: str) -> str:
        """Document and clause of one field, as errors and tables cite it."""
        return f"{self.document} §{self[name].clause}"

    def unpack(self, octets: Octets, at: int = 0) -> dict[str, int]:
        """The same as `values`, by name."""
        return dict(zip(self.names, self.values(octets, at), strict=True))

    def pack(self, values: Mapping[str, int]) -> bytes:
        """The octets of a header with these field values.

        Raises: EncodeError: a value does not fit its field.  KeyError: a field is missing.
        """
        return self.pack_values(*[values[name] for name in self.names])

    def check(self, values: Mapping[str, int]) -> None:
        """Raise EncodeError, naming field, limit and clause, when a value does not fit."""
        for field in self.fields:
            value = values.get(field.name, 0)
            if not isinstance(value, int) or not 0 <= value <= field.maximum:
                raise EncodeError(
                    f"{self.name}: {field.name} is {value!r}, not 0 to {field.maximum} [{self.clause(field.name)}]"
                )

    def _refusal(self, *values: int) -> EncodeError:
        """The error for values of which at least one does not fit."""
        try:
            self.check(dict(zip(self.names, values, strict=True)))
        except EncodeError as error:
            return error
        return EncodeError(f"{self.name}: fields must be integers, not {values!r}")

    def truncated(self, octets_given: int) -> TruncatedError:
        """The error for a header of which only `octets_given` octets are there."""
        return TruncatedError(
            f"header of {self.octets} octets, {octets_given} given",
            unit=self.name,
            octet_offset=octets_given,
            clause=f"{self.document} §{self.fields[0].clause}",
        )

    def markdown(self) -> str:
        """The table of fields as Markdown, for the reference pages."""
        rows = [
            f"| {self._bit_offsets[field.name]} | {field.bits} | `{field.name}` | {field.clause} |"
            for field in self.fields
        ]
        return "\n".join(["| bit | bits | field | clause |", "|---:|---:|---|---|", *rows]) + "\n"


def _cover(layout: Layout) -> list[tuple[int, list[tuple[str, int, int]]]]:
    """Machine words that hold the fields whole: (octets, [(name, shift, mask)]); 0 octets: one wide integer."""
    words: list[tuple[int, list[tuple[str, int, int]]]] = []
    fields, index = layout.fields, 0
    while index < len(fields):
        bits, end = 0, index
        while end < len(fields):
            bits += fields[end].bits
            end += 1
            if bits % 8 == 0 and bits // 8 in _UNITS:
                break
        else:
            total = layout.octets * 8
            at = 0
            wide = []
            for field in fields:
                at += field.bits
                wide.append((field.name, total - at, field.maximum))
            return [(0, wide)]
        at, cuts = 0, []
        for field in fields[index:end]:
            at += field.bits
            cuts.append((field.name, bits - at, field.maximum))
        words.append((bits // 8, cuts))
        index = end
    return words


def _cut(word: str, octets: int, shift: int, mask: int, layout: Layout) -> str:
    bits = (octets or layout.octets) * 8
    shifted = f"{word} >> {shift}" if shift else word
    return shifted if mask.bit_length() + shift == bits else f"{shifted} & {mask}"


def _generate_unpack(layout: Layout) -> Callable[..., tuple[int, ...]]:
    """The `values` of a layout: one call, as every decoder pays for it."""
    words = _cover(layout)
    names = [f"w{number}" for number in range(len(words))]
    cuts = ", ".join(
        _cut(word, octets, shift, mask, layout)
        for word, (octets, fields) in zip(names, words, strict=True)
        for _, shift, mask in fields
    )
    if words[0][0]:
        reader = struct.Struct(">" + "".join(_UNITS[octets] for octets, _ in words)).unpack_from
        read = f"{', '.join(names)}, = reader(octets, at)"
    else:
        reader = struct.Struct(f"{layout.octets}s").unpack_from
        read = "w0 = from_bytes(reader(octets, at)[0], 'big')"
    source = (
        f"def values(octets, at=0):\n    try:\n        {read}\n"
        f"    except error:\n        raise truncated(max(len(octets) - at, 0)) from None\n    return ({cuts},)\n"
    )
    scope: dict[str, Callable[..., tuple[int, ...]]] = {}
    # The source is made of field widths and our own names only.
    exec(
        source,
        {"reader": reader, "from_bytes": int.from_bytes, "error": struct.error, "truncated": layout.truncated},
        scope,
    )
    return scope["values"]


def _generate_pack(layout: Layout) -> Callable[..., bytes]:
    """The `pack_values` of a layout."""
    words = _cover(layout)
    index = 0
    parts = []
    for octets, fields in words:
        terms = []
        for _, shift, _ in fields:
            terms.append(f"v{index} << {shift}" if shift else f"v{index}")
            index += 1
        parts.append((octets, " | ".join(terms)))
    names = [f"v{number}" for number in range(index)]
    fits = " and ".join(f"0 <= {name} <= {field.maximum}" for name, field in zip(names, layout.fields, strict=True))
    if words[0][0]:
        writer = struct.Struct(">" + "".join(_UNITS[octets] for octets, _ in words)).pack
        result = f"writer({', '.join(term for _, term in parts)})"
    else:
        writer = None
        result = f"({parts[0][1]}).to_bytes({layout.octets}, 'big')"
    source = (
        f"def pack_values({', '.join(names)}):\n    try:\n        if {fits}:\n            return {result}\n"
        f"    except no_integers:\n        pass\n    raise refusal({', '.join(names)}) from None\n"
    )
    scope: dict[str, Callable[..., bytes]] = {}
    no_integers = (TypeError, AttributeError, struct.error)
    exec(source, {"writer": writer, "refusal": layout._refusal, "no_integers": no_integers}, scope)
    return scope["pack_values"]
