"""The modified BCH (63,56) code of telecommand.  Source: CCSDS 231.0-B-4, section 3.

A codeblock is seven octets of information and one octet of parity: seven bits, complemented, and a filler bit 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from ccsds import _native
from ccsds.errors import EncodeError, TruncatedError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Buffer

__all__ = ["CODEBLOCK_OCTETS", "INFORMATION_OCTETS", "DecodedCodeblocks", "Mode", "decode", "encode"]

UNIT = "BCH codeblock"
CLAUSE = "CCSDS 231.0-B-4 §3"
INFORMATION_OCTETS = 7
CODEBLOCK_OCTETS = 8

Mode = Literal["detect", "correct"]
"""Managed parameter: "detect" finds up to three bits in error and corrects none; "correct" corrects one, finds two."""


class DecodedCodeblocks(NamedTuple):
    """Information of codeblocks, end to end; for each an int8: bits corrected (0 or 1), -1 where it is rejected.

    The information of a rejected codeblock is as it was received.
    """

    information: bytes
    corrected_bits: NDArray[np.int8]


def encode(information: Buffer) -> bytes:
    """The codeblocks, end to end, of any number of blocks of seven octets.

    Raises: EncodeError: not a whole number of blocks; fill completes the last one (see `ccsds.coding.cltu`).
    """
    given = memoryview(information).nbytes
    if given % INFORMATION_OCTETS:
        raise EncodeError(f"{UNIT}: {given} octets are not a whole number of blocks of {INFORMATION_OCTETS} [{CLAUSE}]")
    return _native.bch_encode(information)


def decode(codeblocks: Buffer, mode: Mode = "correct") -> DecodedCodeblocks:
    """Judge every codeblock by itself.  The filler bit is no part of the code and not looked at.

    Raises: TruncatedError: the last codeblock is cut short.  ValueError: another mode.
    """
    import numpy as np  # late: importing ccsds stays light

    given = memoryview(codeblocks).nbytes
    rest = given % CODEBLOCK_OCTETS
    if rest:
        message = f"a codeblock has {CODEBLOCK_OCTETS} octets, the last one {rest}"
        raise TruncatedError(message, unit=UNIT, octet_offset=given - rest, clause=CLAUSE)
    information, status = _native.bch_decode(codeblocks, mode)
    return DecodedCodeblocks(information, np.frombuffer(status, dtype=np.int8))
