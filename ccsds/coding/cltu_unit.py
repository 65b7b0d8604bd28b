"""One Communications Link Transmission Unit with the BCH code, as a unit.  Source: CCSDS 231.0-B-4, section 5.2.

For looking at one and making one by hand; `CltuEncoder` and `CltuDecoder` are for links.
"""

from __future__ import annotations

from typing import Any, Self

from ccsds._unit import Unit, maker, require_octets, write_into
from ccsds.coding import bch
from ccsds.coding.cltu import CODES, DOCUMENT, CltuEncoder
from ccsds.coding.randomizer import randomize
from ccsds.errors import DecodeError, EncodeError, FieldError, IntegrityError, TruncatedError
from ccsds.layout import Octets

__all__ = ["START_SEQUENCE", "TAIL_SEQUENCE", "Cltu"]

UNIT = "CLTU"
START_SEQUENCE = CODES["BCH"].start_sequence
TAIL_SEQUENCE = CODES["BCH"].tails["standard"]
_BLOCK = bch.CODEBLOCK_OCTETS


class Cltu(Unit, frozen=True):
    """Start sequence, BCH codeblocks, tail sequence.

    `information` is what the codeblocks carry, derandomized: transfer frames, then fill.  Fill is added where it is no
    whole number of codeblocks, and comes back as part of it.
    """

    information: bytes
    randomized: bool = False

    @property
    def managed_parameters(self) -> dict[str, Any]:
        """The keywords with which `decode` gives this unit back from its octets."""
        return {"randomized": self.randomized}

    def __len__(self) -> int:
        """Octets of the encoded unit."""
        return CltuEncoder().cltu_octets(len(self.information))

    def check(self) -> None:
        """Raise EncodeError where there is nothing to encode."""
        require_octets(UNIT, "information", self.information)
        if not self.information:
            raise EncodeError(f"{UNIT}: there is at least one codeblock [{DOCUMENT} §5.2.3]")
        if not isinstance(self.randomized, bool):
            raise EncodeError(f"{UNIT}: randomized is True or False, not {self.randomized!r} [{DOCUMENT} §6]")

    @classmethod
    def decode(cls, octets: Octets, *, randomized: bool = False) -> Self:
        """The CLTU that `octets` are, exactly and without an error.

        Args:   randomized: managed; nothing in the unit tells.
        Raises: FieldError: no start sequence, a filler bit that is 1, or octets left over.
                IntegrityError: a codeblock that does not verify and is no tail.
                TruncatedError: no tail, or no codeblock.
        """
        unit, rest = cls.decode_from(octets, randomized=randomized)
        if rest:
            at = len(octets) - len(rest)
            message = f"{len(rest)} octets follow the tail sequence"
            raise FieldError(message, unit=UNIT, octet_offset=at, clause=f"{DOCUMENT} §5.2.4")
        return unit

    @classmethod
    def decode_from(cls, octets: Octets, *, randomized: bool = False) -> tuple[Self, memoryview]:
        """Cut one CLTU off the front of `octets`, by its tail; return it and the octets that follow it."""
        whole = bytes(octets)
        if len(whole) < len(START_SEQUENCE) or not whole.startswith(START_SEQUENCE):
            raise _no_start(whole)
        at = len(START_SEQUENCE)
        information = []
        while (block := whole[at : at + _BLOCK]) != TAIL_SEQUENCE:
            if len(block) < _BLOCK or (block != bch.encode(block[:-1])):
                raise _no_block(block, at)
            information.append(block[:-1])
            at += _BLOCK
        if not information:
            message = "the tail sequence follows the start sequence, without a codeblock"
            raise TruncatedError(message, unit=UNIT, octet_offset=at, clause=f"{DOCUMENT} §5.2.3")
        received = b"".join(information)
        unit = _make(randomize(received, "telecommand") if randomized else received, randomized)
        return unit, memoryview(octets)[at + _BLOCK :]

    def encode(self) -> bytes:
        """The octets of the unit."""
        return CltuEncoder(randomizer=self.randomized, maximum_cltu_octets=max(len(self), 18)).encode(self.information)

    def encode_into(self, out: bytearray | memoryview) -> int:
        """Write the unit at the start of `out`; return the octets written.  Raises EncodeError: `out` is too short."""
        return write_into(UNIT, self.encode(), out)


_make = maker(Cltu)


def _no_start(octets: bytes) -> DecodeError:
    clause = f"{DOCUMENT} §5.2.2"
    if len(octets) < len(START_SEQUENCE):
        message = f"a start sequence has {len(START_SEQUENCE)} octets, {len(octets)} given"
        return TruncatedError(message, unit=UNIT, octet_offset=len(octets), clause=clause)
    message = f"{octets[:2].hex()} is not the start sequence, {START_SEQUENCE.hex()}"
    return FieldError(message, unit=UNIT, octet_offset=0, clause=clause)


def _no_block(block: bytes, at: int) -> DecodeError:
    if len(block) < _BLOCK:
        message = f"{len(block)} octets where a codeblock or the tail sequence has {_BLOCK}"
        return TruncatedError(message, unit=UNIT, octet_offset=at + len(block), clause=f"{DOCUMENT} §5.2.4")
    expected = bch.encode(block[:-1])[-1]
    if block[-1] ^ expected == 1:
        return FieldError("the filler bit is 1", unit=UNIT, octet_offset=at + 7, clause=f"{DOCUMENT} §3")
    message = f"the codeblock does not verify: its last octet is {block[-1]:#04x}, not {expected:#04x}"
    return IntegrityError(message, unit=UNIT, octet_offset=at, clause=f"{DOCUMENT} §3")
