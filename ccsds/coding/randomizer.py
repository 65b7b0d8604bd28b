"""Pseudo-randomizers.

Sources: CCSDS 131.0-B-5 and B-6, section 10.4 (telemetry); CCSDS 231.0-B-4, section 6 (telecommand).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ccsds import _native

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Sequence", "randomize", "sequence_octets"]

Sequence = Literal["short", "long", "telecommand"]
"""Telemetry, managed parameter: "short" has a period of 255 bits (the only one up to 131.0-B-4), "long" one of 131071.

"telecommand" is another sequence of 255 bits; both begin with the octet ff.
"""


def randomize(octets: Buffer, sequence: Sequence = "short", block_octets: int | None = None) -> bytes:
    """Randomize `octets`, or undo it: the operation is its own inverse.

    Args:    octets: frames, codeblocks or code words without their markers, which are never randomized.
             sequence: which generator.
             block_octets: the generator is preset at the start of every block of this many octets (the last
             may be shorter); without it, at the start of `octets` only.
    Raises:  ValueError: another sequence, or blocks of no octets.
    Source:  CCSDS 131.0-B-5, sections 10.3 and 10.4; CCSDS 231.0-B-4, section 6.
    """
    return _native.randomize(octets, sequence, block_octets)


def sequence_octets(sequence: Sequence, length: int) -> bytes:
    """The first `length` octets of the sequence; the first bit is the most significant one of octet 0.

    Raises: ValueError: another sequence.  OverflowError: a negative length.
    """
    return _native.randomizer_octets(sequence, length)
