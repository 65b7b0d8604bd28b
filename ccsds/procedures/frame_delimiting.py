"""TC and USLP transfer frames cut out of candidate frames, their fill removed.

Sources: CCSDS 232.0-B-4, section 4.4; 732.1-B-3, section 4.3.

What the coding sublayer hands up is whole codewords: one frame or several, then fill, and, where decoding went on too
long, octets of no meaning.  Every octet is accounted for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Literal, NamedTuple

import msgspec

from ccsds.coding.cltu import FILL_OCTET
from ccsds.coding.randomizer import sequence_octets
from ccsds.frames import tc, uslp
from ccsds.frames.error_control import CRC_16, CRC_32, frame_error_control
from ccsds.layout import Octets

__all__ = ["DelimitedFrame", "DelimitingCounters", "DiscardedOctets", "FrameDelimiter", "LeftoverReason"]

_CRC = {2: CRC_16, 4: CRC_32}
_NONE: Mapping[int, int] = MappingProxyType({})


class LeftoverReason(Enum):
    """Why octets of a candidate are no frame."""

    FILL = "fill of the last codeword"
    TRUNCATED = "the frame is longer than what was decoded"
    VERSION = "another version number than that of these frames"
    LENGTH = "no length, or one too short for a frame"
    CHECK = "the frame error control field does not verify"
    SPACECRAFT = "the frame is for another spacecraft"
    UNEXPECTED = "octets after the last frame that are neither fill nor a frame"


class DelimitedFrame(NamedTuple):
    """The octets of one transfer frame, header and error control field included."""

    octets: bytes
    offset: int
    """octets of the candidate before it"""


class DiscardedOctets(NamedTuple):
    """Octets of a candidate that are no frame, or none to be used."""

    reason: LeftoverReason
    octets: bytes
    offset: int


class DelimitingCounters(msgspec.Struct, kw_only=True):
    """The account: candidate_octets = frame_octets + fill_octets + discarded_octets."""

    candidates: int = 0
    candidate_octets: int = 0
    frames: int = 0
    frame_octets: int = 0
    fill_octets: int = 0
    discarded_octets: int = 0
    truncated_frames: int = 0
    version_errors: int = 0
    length_errors: int = 0
    check_errors: int = 0
    foreign_frames: int = 0
    unexpected_remainders: int = 0


_COUNTER = {
    LeftoverReason.TRUNCATED: "truncated_frames",
    LeftoverReason.VERSION: "version_errors",
    LeftoverReason.LENGTH: "length_errors",
    LeftoverReason.CHECK: "check_errors",
    LeftoverReason.SPACECRAFT: "foreign_frames",
    LeftoverReason.UNEXPECTED: "unexpected_remainders",
}


class _Head(NamedTuple):
    """What the header of a frame says that matters here; `octets` of the frame, of which `least` are needed."""

    version_valid: bool
    spacecraft_id: int
    octets: int
    least: int
    checked: bool


class FrameDelimiter:
    """Cuts frames by their length field.  No octets that arrive raise anything.

    Args:   frame_type: TC, or USLP.
            frame_error_control_present: managed; frames whose field does not verify are discarded with all that
                follows them, for their length is not to be trusted.
            frame_error_control_octets: of USLP, 4 in the older issues.
            truncated_frame_octets: of USLP, the length of truncated frames by virtual channel.
            spacecraft_ids: frames for others are set aside; None takes any.
            randomized: fill may come as it was sent or derandomized with the frame; both are known as fill.
    """

    def __init__(
        self,
        *,
        frame_type: Literal["TC", "USLP"] = "TC",
        frame_error_control_present: bool,
        frame_error_control_octets: Literal[2, 4] = 2,
        truncated_frame_octets: Mapping[int, int] = _NONE,
        spacecraft_ids: Collection[int] | None = None,
        randomized: bool = True,
    ) -> None:
        self._check = _CRC[frame_error_control_octets] if frame_error_control_present else None
        self._header = self._tc_header if frame_type == "TC" else self._uslp_header
        self._shortest = (tc.PRIMARY_HEADER if frame_type == "TC" else uslp.TRUNCATED_PRIMARY_HEADER).octets
        self._tail = 1 + frame_error_control_octets * frame_error_control_present
        self._truncated = truncated_frame_octets
        self._spacecraft = None if spacecraft_ids is None else frozenset(spacecraft_ids)
        self._randomized = randomized
        self.counters = DelimitingCounters()

    def frames_of(self, candidate: Octets, *, codeword_information_octets: int) -> list[DelimitedFrame]:
        """The good frames of a candidate; what else it held is counted (`split` gives it too)."""
        parts = self.split(candidate, codeword_information_octets=codeword_information_octets)
        return [part for part in parts if isinstance(part, DelimitedFrame)]

    def split(self, candidate: Octets, *, codeword_information_octets: int) -> list[DelimitedFrame | DiscardedOctets]:
        """All parts of a candidate, in order; end to end they are the candidate.

        Args: codeword_information_octets: fill is shorter than this (`CodeFacts.information_octets`).
        """
        octets = bytes(candidate)
        counters = self.counters
        counters.candidates += 1
        counters.candidate_octets += len(octets)
        parts: list[DelimitedFrame | DiscardedOctets] = []
        at = 0
        while at < len(octets):
            part = self._next(octets, at, codeword_information_octets)
            parts.append(part)
            self._count(part)
            at += len(part.octets)
        return parts

    def _next(self, octets: bytes, at: int, block: int) -> DelimitedFrame | DiscardedOctets:
        rest = octets[at:]
        if at and len(rest) < block and self._is_fill(rest, at):
            return DiscardedOctets(LeftoverReason.FILL, rest, at)
        if len(rest) < self._shortest:
            reason = LeftoverReason.UNEXPECTED if at else LeftoverReason.TRUNCATED
            return DiscardedOctets(reason, rest, at)
        head = self._header(rest)
        spacecraft, end = head.spacecraft_id, head.octets
        reason_of_all: LeftoverReason | None = None
        if not head.version_valid:
            reason_of_all = LeftoverReason.VERSION
        elif end < head.least:
            reason_of_all = LeftoverReason.LENGTH
        elif end > len(rest):
            reason_of_all = LeftoverReason.TRUNCATED
        elif self._check and head.checked and frame_error_control(rest[:end], self._check):
            reason_of_all = LeftoverReason.CHECK
        if reason_of_all is not None:
            no_header = reason_of_all in (LeftoverReason.VERSION, LeftoverReason.LENGTH)
            # Behind a frame, such octets were never one: noise made a codeword, or corrected the tail into one.
            return DiscardedOctets(LeftoverReason.UNEXPECTED if at and no_header else reason_of_all, rest, at)
        if self._spacecraft is not None and spacecraft not in self._spacecraft:
            return DiscardedOctets(LeftoverReason.SPACECRAFT, rest[:end], at)
        return DelimitedFrame(rest[:end], at)

    def _tc_header(self, rest: bytes) -> _Head:
        version, _, _, _, spacecraft, _, length, _ = tc.PRIMARY_HEADER.values(rest)
        return _Head(version == 0, spacecraft, length + 1, tc.PRIMARY_HEADER.octets + self._tail, True)

    def _uslp_header(self, rest: bytes) -> _Head:
        header = uslp.TRUNCATED_PRIMARY_HEADER
        version, spacecraft, _, virtual_channel, _, truncated = header.values(rest)
        valid = version == uslp.VERSION_NUMBER
        if truncated:  # it has no error control field, and its length is managed: none, where none is agreed upon
            return _Head(valid, spacecraft, self._truncated.get(virtual_channel, 0), header.octets + 1, False)
        least = uslp.PRIMARY_HEADER.octets + self._tail
        if len(rest) < uslp.PRIMARY_HEADER.octets:
            return _Head(valid, spacecraft, len(rest) + least, least, True)
        length = uslp.PRIMARY_HEADER.values(rest)[6]
        return _Head(valid, spacecraft, length + 1, least, True)

    def _is_fill(self, rest: bytes, at: int) -> bool:
        fill = bytes([FILL_OCTET]) * len(rest)
        if rest == fill:
            return True
        sequence = sequence_octets("telecommand", at + len(rest))[at:]
        return self._randomized and rest == bytes(a ^ b for a, b in zip(fill, sequence, strict=True))

    def _count(self, part: DelimitedFrame | DiscardedOctets) -> None:
        counters = self.counters
        if isinstance(part, DelimitedFrame):
            counters.frames += 1
            counters.frame_octets += len(part.octets)
        elif part.reason is LeftoverReason.FILL:
            counters.fill_octets += len(part.octets)
        else:
            counters.discarded_octets += len(part.octets)
            name = _COUNTER[part.reason]
            setattr(counters, name, getattr(counters, name) + 1)
