"""Error control fields of transfer frames: FECF, its 32-bit option, and the AOS header's own field.

Sources: CCSDS 132.0-B-3, 4.1.6 (the same code in 232.0-B-4, 732.0-B-5 and 732.1-B-3); CCSDS 211.2-B-3, annex C;
CCSDS 732.0-B-5, 4.1.2.6.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from ccsds import _native
from ccsds.errors import EncodeError, IntegrityError, TruncatedError

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = [
    "CRC_16",
    "CRC_32",
    "CorrectedHeader",
    "CyclicCode",
    "append_frame_error_control",
    "append_header_error_control",
    "correct_header",
    "frame_error_control",
    "header_error_control",
    "verify_frame_error_control",
    "verify_header_error_control",
]


class CyclicCode(NamedTuple):
    """A cyclic code for error detection: octets of its field, where it is defined, and its remainder."""

    name: str
    octets: int
    clause: str
    remainder: Callable[[Buffer], int]


CRC_16 = CyclicCode("CRC-16", 2, "CCSDS 132.0-B-3 §4.1.6", _native.frame_error_control)
"""x^16 + x^12 + x^5 + 1 preset to ones: the Frame Error Control Field of TM, TC, AOS and USLP."""

CRC_32 = CyclicCode("CRC-32", 4, "CCSDS 211.2-B-3 annex C", _native.crc32)
"""x^32 + x^23 + x^21 + x^11 + x^2 + 1 preset to zeros: Proximity-1, and USLP before 732.1-B-3."""

AOS_HEADER_OCTETS = 6
HEADER_UNIT = "AOS primary header"
HEADER_CLAUSE = "CCSDS 732.0-B-5 §4.1.2.6"


def frame_error_control(octets: Buffer, code: CyclicCode = CRC_16) -> int:
    """The field for a frame without it; zero for a frame that ends in its own valid field."""
    return code.remainder(octets)


def append_frame_error_control(octets: Buffer, code: CyclicCode = CRC_16) -> bytes:
    """`octets`, then their field."""
    return bytes(octets) + code.remainder(octets).to_bytes(code.octets, "big")


def verify_frame_error_control(
    octets: Buffer, code: CyclicCode = CRC_16, *, unit: str = "transfer frame"
) -> memoryview:
    """The octets before the field of a frame whose field is valid.

    Raises: IntegrityError: the field is not that of the octets before it.
            TruncatedError: there is not even a field.
    """
    view = memoryview(octets).cast("B")
    end = len(view) - code.octets
    if end < 0:
        message = f"{code.octets} octets of {code.name} expected, {len(view)} given"
        raise TruncatedError(message, unit=unit, octet_offset=0, clause=code.clause)
    if code.remainder(octets):
        expected, received = code.remainder(view[:end]), int.from_bytes(view[end:], "big")
        message = f"{code.name} is {received:#x}, {expected:#x} expected"
        raise IntegrityError(message, unit=unit, octet_offset=end, clause=code.clause)
    return view[:end]


class CorrectedHeader(NamedTuple):
    """Eight octets of a valid AOS primary header, and how many symbols (half octets) were corrected."""

    octets: bytes
    corrected_symbols: int


def header_error_control(header: Buffer) -> int:
    """The Frame Header Error Control of the first six octets of an AOS primary header.

    Covers octets 0, 1 and 5; the virtual channel frame count between them is not protected.
    Raises: EncodeError: `header` is shorter.
    """
    return _native.header_error_control_compute(_first(header))


def append_header_error_control(header: Buffer) -> bytes:
    """The eight octets of an AOS primary header whose first six are given.  Raises EncodeError: there are fewer."""
    first = _first(header)
    return first + _native.header_error_control_compute(first).to_bytes(2, "big")


def verify_header_error_control(header: Buffer) -> None:
    """Check the field of an AOS frame, or of the first eight octets of one, without correcting anything.

    Raises: IntegrityError: the field is not that of octets 0, 1 and 5.  TruncatedError: fewer than eight octets.
    """
    octets = _whole(header)
    expected, received = _native.header_error_control_compute(octets[:AOS_HEADER_OCTETS]), octets[AOS_HEADER_OCTETS:]
    if expected != int.from_bytes(received, "big"):
        message = f"frame header error control is {received.hex()}, {expected:04x} expected"
        raise IntegrityError(message, unit=HEADER_UNIT, octet_offset=AOS_HEADER_OCTETS, clause=HEADER_CLAUSE)


def correct_header(header: Buffer) -> CorrectedHeader:
    """Correct up to two symbols in octets 0, 1, 5, 6 and 7 of an AOS frame.

    Three or more symbols in error are not always noticed: the code (10, 6) may take them for two others.
    Raises: IntegrityError: no header is that near.  TruncatedError: fewer than eight octets.
    """
    found = _native.header_error_control_correct(_whole(header))
    if found is None:
        message = "more than two symbols of the header are in error"
        raise IntegrityError(message, unit=HEADER_UNIT, octet_offset=0, clause=HEADER_CLAUSE)
    return CorrectedHeader(*found)


def _first(header: Buffer) -> bytes:
    octets = bytes(memoryview(header).cast("B")[:AOS_HEADER_OCTETS])
    if len(octets) < AOS_HEADER_OCTETS:
        raise EncodeError(f"{HEADER_UNIT}: {AOS_HEADER_OCTETS} octets needed, {len(octets)} given [{HEADER_CLAUSE}]")
    return octets


def _whole(header: Buffer) -> bytes:
    octets = bytes(memoryview(header).cast("B")[: AOS_HEADER_OCTETS + 2])
    if len(octets) < AOS_HEADER_OCTETS + 2:
        message = f"a header with frame header error control has 8 octets, {len(octets)} given"
        raise TruncatedError(message, unit=HEADER_UNIT, octet_offset=len(octets), clause=HEADER_CLAUSE)
    return octets
