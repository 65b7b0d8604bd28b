"""Fill of Only Idle Data frames: the sequence of a 32-cell register.  Source: CCSDS 132.0-B-3, 4.1.4.6 and annex D."""

from __future__ import annotations

__all__ = ["OnlyIdleDataFill"]

_CELLS = 32


def _first_octets() -> bytes:
    """Four times as many octets as the register has cells, divided by eight, bit by bit: the seed of `take`."""
    register, bits = (1 << _CELLS) - 1, 0
    for _ in range(8 * _CELLS):
        bits = bits << 1 | register & 1
        new = (register ^ register >> 10 ^ register >> 30 ^ register >> 31) & 1
        register = register >> 1 | new << 31
    return bits.to_bytes(_CELLS, "big")


class OnlyIdleDataFill:
    """The endless fill sequence, 1 + D + D^2 + D^22 + D^32 from all ones.

    It runs on from frame to frame; a receiver must not check it.
    """

    __slots__ = ("_state",)

    def __init__(self) -> None:
        self._state = bytearray(_first_octets())

    def take(self, octets: int) -> bytes:
        """The next `octets` octets of the sequence.

        s[n+32] = s[n] ^ s[n+10] ^ s[n+30] ^ s[n+31] holds for bits; squared three times over GF(2) it holds for
        bits 8 apart, that is for whole octets.
        """
        if octets < 0:
            raise ValueError(f"octets is {octets}, not 0 or more")
        run = self._state
        for at in range(octets):
            run.append(run[at] ^ run[at + 10] ^ run[at + 30] ^ run[at + 31])
        self._state = run[octets:]
        return bytes(run[:octets])
