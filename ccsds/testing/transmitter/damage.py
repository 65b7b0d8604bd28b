"""Does the damage that a plan asks for, to octets first, then to bits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from random import Random
from typing import NamedTuple

import numpy as np

from ccsds.errors import ConfigurationError
from ccsds.testing.transmitter.coding import (
    OctetArray,
    frame_error_control,
    is_correctable,
    randomizer_octets,
    to_conventional,
)
from ccsds.testing.transmitter.impairments import Impairments, Plan, ReceiverSettings, cut_limits
from ccsds.testing.transmitter.parameters import ATTACHED_SYNC_MARKER, TransmitterParameters

__all__ = ["Damage", "Fate", "FrameFate", "marker_look_alikes"]

MARKER_OCTETS = len(ATTACHED_SYNC_MARKER)
MARKER_BITS = 8 * MARKER_OCTETS
TRIES = 200


class Fate(Enum):
    """What became of one frame on its way."""

    INTACT = "intact"
    CORRECTED = "symbol errors within correction"
    PAST_CORRECTION = "symbol errors past correction"
    FRAME_ERROR_CONTROL_ERROR = "bit errors in an uncoded frame"
    MARKER_LOST = "marker past tolerance"
    SLIPPED = "a bit too many or too few"
    CUT = "cut short"


class FrameFate(NamedTuple):
    """One slot of the stream.

    bit_offset: of its marker.  frame_index: into Transmission.frames, None for a foreign frame.
    corrected_symbols: wrong symbols in a frame that can be corrected.
    """

    bit_offset: int
    frame_index: int | None
    fate: Fate
    corrected_symbols: int
    marker_errors: int
    inverted: bool


def marker_look_alikes(bits: OctetArray, tolerated: int) -> list[int]:
    """Where 32 bits in a row are a marker of either polarity with up to `tolerated` errors."""
    marker = np.unpackbits(np.frombuffer(ATTACHED_SYNC_MARKER, dtype=np.uint8))
    count = len(bits) - MARKER_BITS + 1
    if count < 1:
        return []
    distances = np.zeros(count, dtype=np.uint8)
    for index, bit in enumerate(marker):
        distances += bits[index : index + count] ^ bit
    found: list[int] = np.flatnonzero((distances <= tolerated) | (distances >= MARKER_BITS - tolerated)).tolist()
    return found


class Damage:
    """One stream while it is being damaged.

    Args: units: uint8, shape (slots, CADU octets), as sent; changed in place.
    """

    def __init__(
        self,
        units: OctetArray,
        plan: Plan,
        parameters: TransmitterParameters,
        receiver: ReceiverSettings,
        random: Random,
    ) -> None:
        self.units = units
        self.plan = plan
        self.parameters = parameters
        self.tolerated = receiver.tolerated_marker_errors
        self.flywheel_frames = receiver.flywheel_frames
        self.random = random
        self.fates = [Fate.INTACT] * len(units)
        self.corrected = [0] * len(units)
        self.changed: dict[int, OctetArray] = {}

    # --- octets ---

    def add_symbol_errors(self) -> None:
        """Wrong symbols as the plan has them: exact numbers of frames and of errors."""
        code = self.parameters.reed_solomon
        for slot, errors in self.plan.symbol_errors.items():
            if code is None:
                raise ConfigurationError("symbol_errors: need reed_solomon")
            counts = [0] * code.interleaving_depth
            if errors <= code.correctable_symbols:
                counts = [self.random.randint(0, errors) for _ in counts]
            counts[self.random.randrange(len(counts))] = errors
            self._damage_codeblock(slot, counts)

    def add_channel_noise(self, eb_n0_db: Sequence[float], seed: int) -> None:
        """Symbol and marker errors as the signal level over the stream makes them."""
        code = self.parameters.reed_solomon
        if not eb_n0_db or code is None:
            return
        slots, generator = len(self.units), np.random.default_rng(seed)
        levels = np.interp(np.linspace(0, 1, slots), np.linspace(0, 1, len(eb_n0_db)), eb_n0_db)
        bit_errors = np.array([math.erfc(math.sqrt(10 ** (level / 10))) / 2 for level in levels])
        symbols = self.parameters.coded_octets // code.interleaving_depth
        rates = np.broadcast_to(1 - (1 - bit_errors) ** 8, (code.interleaving_depth, slots)).T
        counts = generator.binomial(symbols, rates)
        lost = counts.max(axis=1) > code.correctable_symbols
        counts[lost] *= counts[lost] > code.correctable_symbols
        marker_errors = np.minimum(generator.binomial(MARKER_BITS, bit_errors), self.tolerated)
        taken = self.plan.symbol_errors.keys() | self.plan.marker_errors.keys()
        for slot in range(slots):
            if self.plan.protected[slot] or slot in taken:
                continue
            if counts[slot].any():
                self._damage_codeblock(slot, counts[slot].tolist())
            if marker_errors[slot]:
                self.plan.marker_errors[slot] = int(marker_errors[slot])

    def _damage_codeblock(self, slot: int, counts: Sequence[int]) -> None:
        code = self.parameters.reed_solomon
        if code is None:
            raise ConfigurationError("symbol errors need reed_solomon")
        depth = code.interleaving_depth
        length = self.parameters.coded_octets // depth
        for codeword, count in enumerate(counts):
            if not count:
                continue
            pattern = self._error_pattern(count, length)
            for position, error in pattern.items():
                self.units[slot, MARKER_OCTETS + position * depth + codeword] ^= error
        if max(counts) > code.correctable_symbols:
            self.fates[slot] = Fate.PAST_CORRECTION
        elif max(counts):
            self.fates[slot] = Fate.CORRECTED
            self.corrected[slot] = sum(counts)

    def _error_pattern(self, count: int, length: int) -> dict[int, int]:
        """Positions and errors in one codeword; past E, such that no codeword lies within E."""
        code, random = self.parameters.reed_solomon, self.random
        for _ in range(TRIES):
            pattern = {position: random.randint(1, 255) for position in random.sample(range(length), count)}
            if code is None or count <= code.correctable_symbols:
                return pattern
            if not self._is_correctable(pattern, length):
                return pattern
        raise ConfigurationError("symbol_errors: found no pattern that is certainly past correction")

    def _is_correctable(self, pattern: Mapping[int, int], length: int) -> bool:
        code = self.parameters.reed_solomon
        if code is None:
            return False
        fill = 255 - length
        # The change of basis is linear, so an error changes basis as a symbol does.
        errors = {
            fill + position: to_conventional[error] if code.dual_basis else error for position, error in pattern.items()
        }
        return is_correctable(errors, code.correctable_symbols)

    def add_marker_errors(self) -> None:
        """Bit errors in markers."""
        for slot, errors in self.plan.marker_errors.items():
            for bit in self.random.sample(range(MARKER_BITS), errors):
                self.units[slot, bit // 8] ^= 0x80 >> bit % 8
            if errors > self.tolerated:
                self.fates[slot] = Fate.MARKER_LOST

    def add_bit_errors(self) -> None:
        """Bit errors in uncoded frames, each shown by the frame error control field."""
        bits = 8 * self.parameters.frame_octets
        for slot in self.plan.frame_error_control_errors:
            intact = self.units[slot].copy()
            for _ in range(TRIES):
                self.units[slot] = intact
                for bit in self.random.sample(range(bits), self.random.randint(1, 40)):
                    self.units[slot, MARKER_OCTETS + bit // 8] ^= 0x80 >> bit % 8
                if self._is_lost(intact, self.units[slot]):
                    break
            else:
                raise ConfigurationError("frame_error_control_errors: found no errors that show")
            self.fates[slot] = Fate.FRAME_ERROR_CONTROL_ERROR

    def invert(self) -> None:
        """Turn the polarity where the plan has it."""
        self.units[np.array(self.plan.inverted, dtype=bool)] ^= 0xFF

    # --- bits ---

    def slip_and_cut(self) -> None:
        """Lose or add a bit in some frames, and end others early; what is left is certainly no codeblock."""
        for slot in self.plan.slips:
            self.changed[slot] = self._disturbed(slot, self._slipped, "bit_slips")
            self.fates[slot] = Fate.SLIPPED
        for slot in self.plan.cuts:
            self.changed[slot] = self._disturbed(slot, self._cut, "cut_frames")
            self.fates[slot] = Fate.CUT
        for slot, fate in enumerate(self.fates):
            if fate is Fate.MARKER_LOST and self._markers_between(slot, np.unpackbits(self.units[slot])):
                raise ConfigurationError("marker_errors: a frame contains what looks like a marker; take another seed")

    def _slipped(self, bits: OctetArray) -> OctetArray:
        # In the first half, so that every codeword loses half its symbols.
        at = self.random.randrange(MARKER_BITS, len(bits) // 2)
        if self.random.random() < 0.5:
            return np.delete(bits, at)
        return np.insert(bits, at, np.uint8(self.random.randrange(2)))

    def _cut(self, bits: OctetArray) -> OctetArray:
        return bits[: len(bits) - self.random.randint(*cut_limits(self.parameters))]

    def truncate(self, count: int) -> None:
        """Take bits off the last frame: what is left is lost, also to a receiver that fills up with zeros."""
        if not count:
            return
        last = len(self.units) - 1
        bits = np.unpackbits(self.units[last])
        filled = bits.copy()
        filled[len(bits) - count :] = 0
        if not self._is_lost(self.units[last], np.packbits(filled)):
            raise ConfigurationError("truncated_end_bits: the last frame could still be read; take another seed")
        self.changed[last] = bits[: len(bits) - count]
        self.fates[last] = Fate.CUT

    def _disturbed(self, slot: int, change: Callable[[OctetArray], OctetArray], key: str) -> OctetArray:
        bits = np.unpackbits(self.units[slot])
        for _ in range(TRIES):
            changed = change(bits)
            if self._markers_between(slot, changed):
                continue
            seen = np.concatenate([changed, np.unpackbits(self.units[slot + 1])])[: len(bits)]
            if self._is_lost(self.units[slot], np.packbits(seen)):
                return changed
        raise ConfigurationError(f"{key}: found no place where the outcome is certain; take another seed")

    def _markers_between(self, slot: int, changed: OctetArray) -> list[int]:
        """What looks like a marker around the end of the slot before, in this one, and before the next one's marker."""
        before = np.unpackbits(self.units[slot - 1, -MARKER_OCTETS:])[1:]
        after = np.unpackbits(self.units[slot + 1, :MARKER_OCTETS])[:-1]
        found = marker_look_alikes(np.concatenate([before, changed, after]), self.tolerated)
        return [place for place in found if place != len(before)]

    def _is_lost(self, sent: OctetArray, seen: OctetArray) -> bool:
        """True where a receiver that reads `seen` instead of the CADU `sent` can make no frame of it."""
        code, parameters = self.parameters.reed_solomon, self.parameters
        if code is None:
            sequence = np.frombuffer(randomizer_octets(parameters.randomizer, parameters.coded_octets), dtype=np.uint8)
            body = seen[MARKER_OCTETS:] ^ sequence
            readings = (body, body ^ 0xFF)  # whichever polarity the receiver takes it for
            return all(frame_error_control(reading.tobytes()) for reading in readings)
        depth = code.interleaving_depth
        errors = (sent ^ seen)[MARKER_OCTETS:].reshape(-1, depth)
        return not any(
            self._is_correctable(dict(enumerate(errors[:, codeword].tolist())), len(errors))
            for codeword in range(depth)
        )

    # --- the stream ---

    def assemble(self, impairments: Impairments) -> tuple[OctetArray, list[int]]:
        """All bits of the stream (uint8, one bit each), and the bit offset of each slot."""
        pieces: list[OctetArray] = []
        noise_places: list[tuple[int, int]] = []
        offsets: list[int] = []
        at = first = 0

        def add(bits: OctetArray) -> None:
            nonlocal at
            pieces.append(bits)
            at += len(bits)

        def add_noise(count: int) -> None:
            noise_places.append((at, at + count))
            add(np.unpackbits(np.frombuffer(self.random.randbytes((count + 7) // 8), dtype=np.uint8))[:count])

        add_noise(impairments.leading_noise_bits)
        unit_bits = 8 * self.units.shape[1]
        for slot in range(len(self.units)):
            if slot not in self.changed and slot not in self.plan.noise_before:
                continue
            offsets += range(at, at + unit_bits * (slot - first), unit_bits)
            add(np.unpackbits(self.units[first:slot]))
            if slot in self.plan.noise_before:
                add_noise(self.plan.noise_before[slot])
            first = slot
            if slot in self.changed:
                offsets.append(at)
                add(self.changed[slot])
                first = slot + 1
        offsets += range(at, at + unit_bits * (len(self.units) - first), unit_bits)
        add(np.unpackbits(self.units[first:]))
        add_noise(impairments.trailing_noise_bits)
        stream = np.concatenate(pieces)
        for start, end in noise_places:
            self._scrub(stream, start, end)
            if 0 < start < end:
                self._check_flywheel(stream[start : start + unit_bits])
        return stream, offsets

    def _check_flywheel(self, bits: OctetArray) -> None:
        """Refuse noise through which a flywheel would read a codeblock: its outcome depends on the receiver.

        Reed-Solomon codewords are cyclic, and so is the short randomizer's sequence: a frame that comes a few whole
        octets late decodes where the frame before let it be expected, into octets that are no frame.
        """
        if not self.flywheel_frames or len(bits) < 8 * self.units.shape[1]:
            return
        sequence = randomizer_octets(self.parameters.randomizer, self.parameters.coded_octets)
        zeros = np.frombuffer(ATTACHED_SYNC_MARKER + sequence, dtype=np.uint8)
        seen = np.packbits(bits)
        if not (self._is_lost(zeros, seen) and self._is_lost(zeros, np.invert(seen))):
            raise ConfigurationError(
                "noise_gaps: with this code and randomizer a flywheel decodes a frame that comes so many bits late; "
                "use another length, the long randomizer, or flywheel_frames=0"
            )

    def _scrub(self, stream: OctetArray, start: int, end: int) -> None:
        """Change noise until nothing in it, or across its edges, looks like a marker."""
        first = max(0, start - MARKER_BITS + 1)
        for _ in range(TRIES):
            # The window that begins at `end` is the true marker of the next frame.
            found = marker_look_alikes(stream[first : end + MARKER_BITS - 1], self.tolerated)
            if not found:
                return
            for place in found:
                window = range(max(start, first + place), min(end, first + place + MARKER_BITS))
                stream[self.random.choice(window)] ^= 1
        raise ConfigurationError("noise: cannot be made free of markers; take another seed")
