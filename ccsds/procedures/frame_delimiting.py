"""TC transfer frames cut out of candidate frames, their fill removed.  Source: CCSDS 232.0-B-4, section 4.4.

What the coding sublayer hands up is whole codewords: one frame or several, then fill, and, where decoding went on too
long, octets of no meaning.  Every octet is accounted for.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum
from typing import NamedTuple

import msgspec

from ccsds.coding.cltu import FILL_OCTET
from ccsds.coding.randomizer import sequence_octets
from ccsds.frames.error_control import frame_error_control
from ccsds.frames.tc import PRIMARY_HEADER
from ccsds.layout import Octets

__all__ = ["DelimitedFrame", "DelimitingCounters", "DiscardedOctets", "FrameDelimiter", "LeftoverReason"]

_CHECK_OCTETS = 2


class LeftoverReason(Enum):
    """Why octets of a candidate are no frame."""

    FILL = "fill of the last codeword"
    TRUNCATED = "the frame is longer than what was decoded"
    VERSION = "another version number than that of TC"
    LENGTH = "a length field too short for a frame"
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


class FrameDelimiter:
    """Cuts frames by their length field.  No octets that arrive raise anything.

    Args:   frame_error_control_present: managed; frames whose field does not verify are discarded with all that
                follows them, for their length is not to be trusted.
            spacecraft_ids: frames for others are set aside; None takes any.
            randomized: fill may come as it was sent or derandomized with the frame; both are known as fill.
    """

    def __init__(
        self,
        *,
        frame_error_control_present: bool,
        spacecraft_ids: Collection[int] | None = None,
        randomized: bool = True,
    ) -> None:
        self._check = frame_error_control_present
        self._least = PRIMARY_HEADER.octets + 1 + _CHECK_OCTETS * frame_error_control_present
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
        if len(rest) < PRIMARY_HEADER.octets:
            reason = LeftoverReason.UNEXPECTED if at else LeftoverReason.TRUNCATED
            return DiscardedOctets(reason, rest, at)
        version, _, _, _, spacecraft, _, length, _ = PRIMARY_HEADER.values(rest)
        end = length + 1
        reason_of_all: LeftoverReason | None = None
        if version:
            reason_of_all = LeftoverReason.VERSION
        elif end < self._least:
            reason_of_all = LeftoverReason.LENGTH
        elif end > len(rest):
            reason_of_all = LeftoverReason.TRUNCATED
        elif self._check and frame_error_control(rest[:end]):
            reason_of_all = LeftoverReason.CHECK
        if reason_of_all is not None:
            no_header = reason_of_all in (LeftoverReason.VERSION, LeftoverReason.LENGTH)
            # Behind a frame, such octets were never one: noise made a codeword, or corrected the tail into one.
            return DiscardedOctets(LeftoverReason.UNEXPECTED if at and no_header else reason_of_all, rest, at)
        if self._spacecraft is not None and spacecraft not in self._spacecraft:
            return DiscardedOctets(LeftoverReason.SPACECRAFT, rest[:end], at)
        return DelimitedFrame(rest[:end], at)

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
