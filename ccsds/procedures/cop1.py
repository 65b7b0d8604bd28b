"""What FOP-1 and FARM-1 see of a frame, and the control commands.  Source: CCSDS 232.1-B-2, 232.0-B-4 section 4.1.3.3.

The procedures need four facts of a frame, so they depend on no codec: a TC or a USLP frame becomes a `Cop1Frame` with
`Cop1Frame.received`, and `header_fields` gives back what goes into the header of a frame to be sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from ccsds.errors import EncodeError, FieldError

__all__ = ["COP_1", "SEQUENCE_NUMBERS", "Cop1Frame", "FrameType", "SetVr", "Unlock", "control_command"]

SEQUENCE_NUMBERS: Final = 256
"""Frame sequence numbers are counted modulo this (232.1-B-2 5.2.1 NOTE, 6.2.1 NOTE)."""

COP_1: Final = 1
"""The value of COP in Effect for COP-1 (232.0-B-4 4.2.1.5)."""

_UNLOCK: Final = b"\x00"
_SET_VR: Final = b"\x82\x00"


class FrameType(Enum):
    """Type of a frame, from its bypass and control command flags (232.0-B-4 table 4-1)."""

    AD = (0, 0)
    """Sequence-controlled: checked by FARM-1, repeated until acknowledged."""
    BD = (1, 0)
    """Expedited: delivered as it comes."""
    BC = (1, 1)
    """A control command to FARM-1 itself."""

    @property
    def bypass_flag(self) -> int:
        """1 for type B."""
        return self.value[0]

    @property
    def control_command_flag(self) -> int:
        """1 where the frame holds a control command."""
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Unlock:
    """The control command that takes FARM-1 out of Lockout (232.0-B-4 4.1.3.3.2)."""

    def encode(self) -> bytes:
        """One octet, all zeros."""
        return _UNLOCK


@dataclass(frozen=True, slots=True)
class SetVr:
    """The control command that sets V(R), outside Lockout (232.0-B-4 4.1.3.3.3); the new value is 0 to 255."""

    receiver_sequence_number: int

    def __post_init__(self) -> None:
        if not 0 <= self.receiver_sequence_number < SEQUENCE_NUMBERS:
            raise EncodeError(
                f"Set V(R): {self.receiver_sequence_number!r} is not 0 to 255 [CCSDS 232.0-B-4 §4.1.3.3.3]"
            )

    def encode(self) -> bytes:
        """Three octets, the last of them the new V(R)."""
        return _SET_VR + bytes((self.receiver_sequence_number,))


def control_command(octets: bytes) -> Unlock | SetVr | None:
    """The command that the data field of a type-BC frame holds; None where it is neither of the two."""
    if octets == _UNLOCK:
        return Unlock()
    if len(octets) == len(_SET_VR) + 1 and octets.startswith(_SET_VR):
        return SetVr(octets[-1])
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cop1Frame:
    """A frame as COP-1 sees it.

    frame_sequence_number: N(S), 0 for types BD and BC.  octets: the frame data unit, or the control command.
    """

    frame_type: FrameType
    octets: bytes
    frame_sequence_number: int = 0

    @classmethod
    def received(
        cls, *, bypass_flag: int, control_command_flag: int, frame_sequence_number: int, octets: bytes
    ) -> Cop1Frame:
        """A frame from the fields of a header that has passed the frame validation checks.

        Raises: FieldError: type AC, which the clause forbids; FARM-1 is to be told of an invalid frame.
        """
        try:
            frame_type = FrameType((int(bypass_flag), int(control_command_flag)))
        except ValueError:
            raise FieldError(
                f"bypass flag {bypass_flag} with control command flag {control_command_flag} is reserved",
                unit="TC transfer frame",
                octet_offset=0,
                clause="CCSDS 232.0-B-4 table 4-1",
            ) from None
        return cls(frame_type=frame_type, octets=octets, frame_sequence_number=frame_sequence_number)

    def header_fields(self) -> dict[str, int]:
        """What the header of this frame holds: the two flags and the frame sequence number, by their names."""
        return {
            "bypass_flag": self.frame_type.bypass_flag,
            "control_command_flag": self.frame_type.control_command_flag,
            "frame_sequence_number": self.frame_sequence_number,
        }
