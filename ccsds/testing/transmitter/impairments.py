"""What can happen to a downlink on its way, and where in the stream it happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from ccsds.errors import ConfigurationError
from ccsds.testing.transmitter.parameters import TransmitterParameters

__all__ = ["Impairments", "Plan", "ReceiverSettings", "cut_limits", "make_plan"]

MOST_MARKER_ERRORS = 16  # beyond, a marker looks more like an inverted one
INTACT_NEIGHBOURS = 2
DRAWS = 2000


@dataclass(frozen=True, kw_only=True)
class ReceiverSettings:
    """What the truth assumes of the receiver.

    Attributes: tolerated_marker_errors: a marker with as many bit errors, or fewer, is a marker.
                flywheel_frames: frames that are delivered although their marker is not found, between frames whose
                markers are; 0 where the receiver has no flywheel.
    """

    tolerated_marker_errors: int = 3
    flywheel_frames: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.tolerated_marker_errors <= 8:
            raise ConfigurationError("tolerated_marker_errors: 0 to 8, more makes markers of noise")
        if self.flywheel_frames < 0:
            raise ConfigurationError("flywheel_frames: not negative")


@dataclass(frozen=True, kw_only=True)
class Impairments:
    """What happens to the stream.

    Attributes:
        symbol_errors: (errors, frames) pairs.  Up to E: in each of so many frames, one codeword has exactly so many
            wrong symbols and every other one has 0 to so many.  Past E: one codeword has so many and no decoder can
            correct it, not even into a wrong codeword; the others are clean.
        eb_n0_db: Eb/N0 over the stream, any number of points, linear in between; draws symbol errors (and marker
            errors that the receiver tolerates) as hard decisions on BPSK would have them, Eb per coded bit.
            A frame with a codeword past correction has its other codewords past correction, or clean.
        marker_errors: (errors, frames) pairs: bit errors in the marker, 1 to 16.
        frame_error_control_errors: frames with bit errors that the frame error control field shows (uncoded only).
        bit_slips: frames in which one bit is lost or one too many.
        cut_frames: frames that end early: the next marker comes too soon.
        dropped_frames: lengths of runs of frames that are not there at all.
        repeated_frames: for each, how many more times a frame is sent, bit for bit, at once.
        foreign_frames: frames of another spacecraft or transfer frame version put in between.
        inverted_stretches: stretches of frames with inverted polarity.
        invert_all: the whole stream has the other polarity.
        noise_gaps: for each, how many random bits stand between two frames.
        leading_noise_bits, trailing_noise_bits: random bits before the first and after the last frame; they
            set the bit offset of the first marker.
        truncated_end_bits: bits that the last frame lacks where the recording ends; more than could be corrected.
    """

    symbol_errors: tuple[tuple[int, int], ...] = ()
    eb_n0_db: tuple[float, ...] = ()
    marker_errors: tuple[tuple[int, int], ...] = ()
    frame_error_control_errors: int = 0
    bit_slips: int = 0
    cut_frames: int = 0
    dropped_frames: tuple[int, ...] = ()
    repeated_frames: tuple[int, ...] = ()
    foreign_frames: int = 0
    inverted_stretches: int = 0
    invert_all: bool = False
    noise_gaps: tuple[int, ...] = ()
    leading_noise_bits: int = 0
    trailing_noise_bits: int = 0
    truncated_end_bits: int = 0

    def check(self, parameters: TransmitterParameters) -> None:
        """Raise ConfigurationError where this damage is impossible, or its outcome open, on such a channel."""
        code = parameters.reed_solomon
        if code is None and (self.symbol_errors or self.eb_n0_db):
            raise ConfigurationError("symbol_errors, eb_n0_db: need reed_solomon")
        if code is not None and self.frame_error_control_errors:
            raise ConfigurationError("frame_error_control_errors: Reed-Solomon would correct them; use symbol_errors")
        loses_lock = self.bit_slips or self.cut_frames or self.noise_gaps or self.trailing_noise_bits
        if (
            code is None
            and not parameters.frame_error_control_field
            and (loses_lock or self.frame_error_control_errors)
        ):
            raise ConfigurationError("without reed_solomon or frame_error_control_field no receiver can tell noise")
        if any(not 1 <= errors <= MOST_MARKER_ERRORS for errors, _ in self.marker_errors):
            raise ConfigurationError(f"marker_errors: 1 to {MOST_MARKER_ERRORS} bits of a marker")
        if code is not None:
            longest = 255 - code.virtual_fill_octets // code.interleaving_depth
            if any(not 1 <= errors <= longest for errors, _ in self.symbol_errors):
                raise ConfigurationError(f"symbol_errors: 1 to {longest} symbols of a codeword")
        if self.truncated_end_bits:
            if self.trailing_noise_bits:
                raise ConfigurationError("truncated_end_bits: nothing follows; trailing_noise_bits must be 0")
            least, most = cut_limits(parameters)
            if not least <= self.truncated_end_bits <= most:
                raise ConfigurationError(f"truncated_end_bits: {least} to {most}: past correction, within the frame")
        counts = (*self.dropped_frames, *self.repeated_frames, *self.noise_gaps)
        if any(count < 1 for count in counts):
            raise ConfigurationError("dropped_frames, repeated_frames, noise_gaps: each at least 1")
        counts = (
            *(frames for _, frames in (*self.symbol_errors, *self.marker_errors)),
            *(self.frame_error_control_errors, self.bit_slips, self.cut_frames, self.foreign_frames),
            *(self.inverted_stretches, self.leading_noise_bits, self.trailing_noise_bits, self.truncated_end_bits),
        )
        if any(count < 0 for count in counts):
            raise ConfigurationError("impairments: no count is negative")


@dataclass(kw_only=True)
class Plan:
    """Where things happen.  A slot is a place in the stream that holds one CADU.

    Attributes: sources: of each slot, the frame in it; negative for foreign frames, counted from -1 down.
                protected: slots with INTACT_NEIGHBOURS of a place where a receiver may lose lock, or at an end of the
                stream; what does not cost lock happens elsewhere, so that every outcome is certain.
    """

    sources: list[int]
    protected: list[bool]
    symbol_errors: dict[int, int] = field(default_factory=dict)
    marker_errors: dict[int, int] = field(default_factory=dict)
    frame_error_control_errors: list[int] = field(default_factory=list)
    slips: list[int] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    noise_before: dict[int, int] = field(default_factory=dict)
    inverted: list[bool] = field(default_factory=list)


def cut_limits(parameters: TransmitterParameters) -> tuple[int, int]:
    """The fewest bits that a cut frame lacks, so that it is past correction, and the most: all but its marker."""
    code, most = parameters.reed_solomon, 8 * parameters.coded_octets
    least = 1 if code is None else 8 * code.interleaving_depth * (code.correctable_symbols + 2)
    return min(least, most), most


def make_plan(
    impairments: Impairments, receiver: ReceiverSettings, frames: int, is_plain: Callable[[int], bool], random: Random
) -> Plan:
    """Choose frames for every impairment.

    Args: frames: how many were sent.  is_plain: whether nothing in the CADU of a source looks like a marker.
    Raises: ConfigurationError: too few frames.
    """
    sources = _sequence(impairments, frames, random)
    slots = len(sources)
    plan = Plan(sources=sources, protected=[False] * slots)
    for slot in (*range(INTACT_NEIGHBOURS), *range(slots - INTACT_NEIGHBOURS, slots)):
        plan.protected[slot] = True
    tolerated = receiver.tolerated_marker_errors
    lost_markers = [errors for errors, count in impairments.marker_errors for _ in range(count) if errors > tolerated]
    boundaries = 2 * impairments.inverted_stretches + len(impairments.noise_gaps)
    searched = len(lost_markers) + impairments.bit_slips + impairments.cut_frames
    events = _lock_events(plan, searched, searched + boundaries, is_plain, random)
    plan.marker_errors = {events.pop(): errors for errors in lost_markers}
    plan.slips = [events.pop() for _ in range(impairments.bit_slips)]
    plan.cuts = [events.pop() for _ in range(impairments.cut_frames)]
    plan.noise_before = {events.pop(): bits for bits in impairments.noise_gaps}
    turns = set(events)  # slots before which the polarity turns
    inverted = impairments.invert_all
    for slot in range(slots):
        inverted ^= slot in turns
        plan.inverted.append(inverted)
    free = [slot for slot in range(slots) if not plan.protected[slot]]
    random.shuffle(free)
    for errors, count in impairments.symbol_errors:
        plan.symbol_errors.update((slot, errors) for slot in _take(free, count, "symbol_errors"))
    plan.frame_error_control_errors = _take(free, impairments.frame_error_control_errors, "frame_error_control_errors")
    for errors, count in impairments.marker_errors:
        if errors <= tolerated:
            plan.marker_errors.update((slot, errors) for slot in _take(free, count, "marker_errors"))
    return plan


def _take(free: list[int], count: int, key: str) -> list[int]:
    if count > len(free):
        raise ConfigurationError(f"{key}: too few frames for all impairments; transmit more")
    return [free.pop() for _ in range(count)]


def _sequence(impairments: Impairments, frames: int, random: Random) -> list[int]:
    """The frames that arrive, in order: without the dropped ones, with repeated and foreign ones."""
    here = [True] * frames
    for run in sorted(impairments.dropped_frames, reverse=True):
        starts = [first for first in range(2, frames - run - 1) if all(here[first - 1 : first + run + 1])]
        if not starts:
            raise ConfigurationError("dropped_frames: too few frames for all impairments; transmit more")
        first = random.choice(starts)
        here[first : first + run] = [False] * run
    arriving = [[index] for index in range(frames) if here[index]]
    if len(arriving) < 2 * INTACT_NEIGHBOURS + 1 + len(impairments.repeated_frames) + impairments.foreign_frames:
        raise ConfigurationError("impairments: too few frames for all impairments; transmit more")
    chosen = random.sample(range(2, len(arriving) - 1), len(impairments.repeated_frames) + impairments.foreign_frames)
    for times in impairments.repeated_frames:
        group = arriving[chosen.pop()]
        group += group * times
    for number in range(impairments.foreign_frames):
        arriving[chosen.pop()].append(-1 - number)
    return [source for group in arriving for source in group]


def _lock_events(plan: Plan, searched: int, wanted: int, is_plain: Callable[[int], bool], random: Random) -> list[int]:
    """Slots that lie INTACT_NEIGHBOURS and more apart from each other and from the ends; all are protected.

    The gaps between events are drawn by dealing out what room is left, which always fits when it can.  The last
    `searched` of the result are slots in which a receiver may search for a marker; they hold none but their own.
    """
    stride = INTACT_NEIGHBOURS + 1
    room = len(plan.sources) - 2 * INTACT_NEIGHBOURS - 1 - stride * (wanted - 1)
    if not wanted:
        return []
    if room < 1:
        raise ConfigurationError("impairments: too few frames for all impairments; transmit more")
    for _ in range(DRAWS):
        offsets = sorted(random.choices(range(room), k=wanted))
        events = [INTACT_NEIGHBOURS + offset + stride * number for number, offset in enumerate(offsets)]
        random.shuffle(events)
        if all(is_plain(plan.sources[event]) for event in events[wanted - searched :]):
            break
    else:
        raise ConfigurationError("impairments: too few frames in which nothing looks like a marker; transmit more")
    for event in events:
        first, end = event - INTACT_NEIGHBOURS, event + INTACT_NEIGHBOURS + 1
        plan.protected[first:end] = [True] * (end - first)
    return events
