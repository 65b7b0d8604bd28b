"""Damaged streams: truth is derived again from the octets, and a slow receiver built on another library agrees."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import reedsolo
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ccsds.errors import ConfigurationError
from ccsds.testing.impaired_stream import (
    ATTACHED_SYNC_MARKER,
    CountRange,
    Fate,
    FrameType,
    ImpairedStream,
    Impairments,
    Randomizer,
    ReceiverSettings,
    ReedSolomon,
    Transmission,
    TransmitterParameters,
    VirtualChannelTraffic,
    account_for,
    demo_downlink,
    impair,
    impaired_suite,
    transmit,
)
from ccsds.testing.transmitter import coding, encode_frames

SUITE = impaired_suite(seed=2026)
MARKER = np.unpackbits(np.frombuffer(ATTACHED_SYNC_MARKER, dtype=np.uint8))
NOT_DELIVERED_WITH_MARKER = {Fate.PAST_CORRECTION, Fate.FRAME_ERROR_CONTROL_ERROR, Fate.SLIPPED, Fate.CUT}

PARAMETERS = TransmitterParameters(
    frame_type=FrameType.TM,
    spacecraft_id=42,
    virtual_channels=(
        VirtualChannelTraffic(virtual_channel_id=0),
        VirtualChannelTraffic(virtual_channel_id=7, only_idle_data_share=1.0),
    ),
    reed_solomon=ReedSolomon(interleaving_depth=2),
)


@cache
def sent(frames: int = 100) -> Transmission:
    return transmit(PARAMETERS, seed=5, frames=frames)


def stream_bits(stream: ImpairedStream) -> NDArray[np.uint8]:
    return np.unpackbits(np.frombuffer(stream.octets, dtype=np.uint8))[: stream.bit_length]


def distances(bits: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Bit errors of a marker at each place, negative (minus 1) where its inverse is nearer."""
    windows = np.lib.stride_tricks.sliding_window_view(bits, 32)
    wrong = (windows != MARKER).sum(axis=1)
    result: NDArray[np.int64] = np.where(wrong <= 16, wrong, wrong - 33)
    return result


def coded_frame(bits: NDArray[np.uint8], place: int, inverted: bool, parameters: TransmitterParameters) -> bytes | None:
    """The derandomised octets that follow the marker at `place`."""
    body = bits[place + 32 : place + 32 + 8 * parameters.coded_octets]
    if len(body) < 8 * parameters.coded_octets:
        return None
    octets = np.packbits(body ^ np.uint8(inverted))
    sequence = coding.randomizer_octets(parameters.randomizer, parameters.coded_octets)
    return bytes(octets ^ np.frombuffer(sequence, dtype=np.uint8))


# --- truth against the octets, for every case of the suite ---


@pytest.mark.parametrize("name", SUITE)
def test_fates_are_what_the_octets_show(name: str) -> None:
    """Every frame is looked up in the bits and compared with what was sent, undoing the damage by brute force."""
    case = SUITE[name]
    stream, transmission = case.make(), transmit(case.parameters, case.seed, case.frames)
    parameters, code = case.parameters, case.parameters.reed_solomon
    bits, size = stream_bits(stream), parameters.channel_access_data_unit_octets
    corrected, delivered, foreign = 0, [], 0
    for fate in stream.truth.fates:
        assert np.count_nonzero(bits[fate.bit_offset :][:32] ^ MARKER ^ fate.inverted) == fate.marker_errors
        tolerated = fate.marker_errors <= case.receiver.tolerated_marker_errors
        assert tolerated == (fate.fate is not Fate.MARKER_LOST)
        seen = coded_frame(bits, fate.bit_offset, fate.inverted, parameters)
        if seen is None:
            assert fate is stream.truth.fates[-1]
            assert fate.fate is Fate.CUT
            continue
        if fate.frame_index is None:
            foreign += 1
            continue
        unit = np.frombuffer(transmission.octets, dtype=np.uint8)[fate.frame_index * size :][4:size]
        sequence = coding.randomizer_octets(parameters.randomizer, parameters.coded_octets)
        wrong = np.frombuffer(seen, dtype=np.uint8) != unit ^ np.frombuffer(sequence, dtype=np.uint8)
        if code is None:
            good = not wrong.any()
            assert fate.corrected_symbols == 0
        else:
            per_codeword = wrong.reshape(-1, code.interleaving_depth).sum(axis=0)
            good = per_codeword.max() <= code.correctable_symbols
            assert fate.corrected_symbols == (per_codeword.sum() if good else 0)
            assert good or all(each == 0 or each > code.correctable_symbols for each in per_codeword)
        assert good == (fate.fate not in NOT_DELIVERED_WITH_MARKER)
        if good and (tolerated or case.receiver.flywheel_frames):
            delivered.append(transmission.frames[fate.frame_index])
            corrected += fate.corrected_symbols
    corrected += sum(fate.corrected_symbols for fate in stream.truth.fates if fate.frame_index is None)
    assert tuple(delivered) == stream.truth.frames
    assert corrected == stream.truth.corrected_symbols
    assert foreign == case.impairments.foreign_frames
    assert_gaps_from_indexes(stream, transmission)


def assert_gaps_from_indexes(stream: ImpairedStream, transmission: Transmission) -> None:
    """Gaps and losses by the position of the delivered frames in what was sent: no counter is read."""
    place: dict[bytes, int] = {}
    channel_of: dict[int, list[int]] = {}
    kind = stream.parameters.frame_type
    shift = {FrameType.TM: (1, 1, 7), FrameType.AOS: (1, 0, 63), FrameType.USLP: (2, 5, 63)}[kind]
    for index, frame in enumerate(transmission.frames):
        assert place.setdefault(frame, index) == index
        octets, right, mask = shift
        word = int.from_bytes(frame[:2] if octets == 1 else frame[:4], "big")
        channel_of.setdefault(word >> right & mask, []).append(index)
    arrived = [place[frame] for frame in stream.truth.frames]
    for channel, indexes in channel_of.items():
        mine = [indexes.index(index) for index in arrived if index in set(indexes)]
        account = stream.truth.virtual_channels.get(channel)
        if account is None:
            assert not mine
            continue
        steps = [after - before for before, after in itertools.pairwise(mine)]
        assert account.frames == len(mine)
        if kind is FrameType.USLP and not stream.parameters.frame_count_octets:
            assert account.repeated_frames == account.counter_gaps == account.lost_frames == 0  # nothing tells
            continue
        assert account.repeated_frames == steps.count(0)
        assert account.counter_gaps == sum(step > 1 for step in steps)
        assert account.lost_frames == sum(step - 1 for step in steps if step > 1)


@pytest.mark.parametrize("name", [name for name in SUITE if "alone" in name or "mixed" in name or "receiver" in name])
def test_markers_stand_where_the_truth_says_and_noise_has_none(name: str) -> None:
    case = SUITE[name]
    stream = case.make()
    away = distances(stream_bits(stream))
    tolerated = case.receiver.tolerated_marker_errors
    found = set(np.flatnonzero((away <= tolerated) & (away >= -1 - tolerated)).tolist())
    fates = stream.truth.fates
    assert {fate.bit_offset for fate in fates if fate.fate is not Fate.MARKER_LOST} <= found
    assert not {fate.bit_offset for fate in fates if fate.fate is Fate.MARKER_LOST} & found
    # Between frames that a receiver reads through, nothing may look like a marker.
    unit_bits = 8 * case.parameters.channel_access_data_unit_octets
    searched = np.ones(stream.bit_length, dtype=bool)
    for fate in fates:
        # Behind the last marker of a recording that ends too early there is no room for a frame.
        through = fate.fate not in (Fate.SLIPPED, Fate.CUT, Fate.MARKER_LOST) or fate is fates[-1]
        searched[fate.bit_offset : fate.bit_offset + (unit_bits if through else 1)] = False
    assert not [place for place in found if searched[place]]


@pytest.mark.parametrize("frame_type", ["tm", "aos"])
def test_places_of_lost_lock_have_good_neighbours(frame_type: str) -> None:
    for name, case in SUITE.items():
        if not name.startswith(frame_type):
            continue
        stream = case.make()
        fates, unit_bits = stream.truth.fates, 8 * case.parameters.channel_access_data_unit_octets
        costs_lock = [fate.fate in (Fate.MARKER_LOST, Fate.SLIPPED, Fate.CUT) for fate in fates]
        breaks = [index for index, costs in enumerate(costs_lock) if costs]
        for index in range(1, len(fates)):
            apart = fates[index].bit_offset - fates[index - 1].bit_offset != unit_bits
            if fates[index].inverted != fates[index - 1].inverted or (apart and not costs_lock[index - 1]):
                breaks.append(index)
        for index in breaks:
            if index == len(fates) - 1:
                continue  # the recording ends
            around = (index - 2, index - 1, *([index] if not costs_lock[index] else []), index + 1)
            around += (index + 2,) if costs_lock[index] else ()
            assert all(fates[each].fate is Fate.INTACT and not fates[each].marker_errors for each in around)


# --- a slow receiver: marker search and the decoder of another library ---


class SlowReceiver:
    """Looks for markers anywhere, decodes with reedsolo, goes on behind what it could decode, else searches again."""

    def __init__(self, stream: ImpairedStream) -> None:
        self.parameters = stream.parameters
        self.settings = stream.receiver
        self.bits = stream_bits(stream)
        self.away = distances(self.bits)
        self.corrected = self.uncorrectable = 0
        self.code = code = self.parameters.reed_solomon
        if code is not None:
            first, checks = 128 - code.correctable_symbols, 2 * code.correctable_symbols
            self.library = reedsolo.RSCodec(nsym=checks, nsize=255, fcr=first, prim=0x187, generator=0xAD, c_exp=8)

    def decode(self, block: bytes) -> bytes | None:
        if self.code is None:
            wrong = self.parameters.frame_error_control_field and coding.frame_error_control(block)
            self.uncorrectable += bool(wrong)
            return None if wrong else block
        depth, dual = self.code.interleaving_depth, self.code.dual_basis
        frame, corrected = bytearray(self.code.information_octets), 0
        for codeword in range(depth):
            received = block[codeword::depth]
            try:
                word = received.translate(coding.to_conventional) if dual else received
                message, _, places = self.library.decode(word)
            except reedsolo.ReedSolomonError:
                self.uncorrectable += 1
                return None
            frame[codeword::depth] = bytes(message).translate(coding.to_dual) if dual else bytes(message)
            corrected += len(places)
        self.corrected += corrected
        return bytes(frame)

    def frames(self) -> Iterator[bytes]:
        tolerated = self.settings.tolerated_marker_errors
        is_marker = (self.away <= tolerated) & (self.away >= -1 - tolerated)
        unit_bits = 8 * self.parameters.channel_access_data_unit_octets
        at, flywheel, inverted = 0, 0, False
        while at < len(is_marker):
            if is_marker[at]:
                inverted, left = bool(self.away[at] < 0), self.settings.flywheel_frames
            elif flywheel:
                left = flywheel - 1
            else:
                ahead = np.flatnonzero(is_marker[at:])
                if not len(ahead):
                    return
                at += int(ahead[0])
                continue
            block = coded_frame(self.bits, at, inverted, self.parameters)
            frame = self.decode(block) if block is not None else None
            if frame is not None:
                yield frame
                flywheel, at = left, at + unit_bits
            elif is_marker[at] and at + unit_bits < len(is_marker) and is_marker[at + unit_bits]:
                flywheel, at = left, at + unit_bits
            else:
                flywheel, at = 0, at + int(is_marker[at])


SLOW = [
    name
    for name in SUITE
    if any(part in name for part in ("alone", "receiver", "uncoded", "mixed-0", "i2-short"))
    or name in ("tm-fill-e16-i1-q150", "aos-fill-e8-i3-q111", "tm-conventional-e8-i1", "aos-conventional-e16-i1")
    or name in ("aos-code-e8-i8-long", "tm-code-e16-i5-none", "aos-format-insert-zone", "aos-format-cycle-wraps")
]


@pytest.mark.parametrize("name", SLOW)
def test_a_slow_receiver_makes_the_truth_of_the_stream(name: str) -> None:
    case = SUITE[name]
    stream = case.make()
    receiver = SlowReceiver(stream)
    frames = list(receiver.frames())
    own = [frame for frame in frames if not account_for([frame], case.parameters).foreign_frames]
    assert own == list(stream.truth.frames)
    assert len(frames) - len(own) == stream.truth.foreign_frames
    assert receiver.corrected == stream.truth.corrected_symbols
    uncoded = case.parameters.reed_solomon is None
    truth = stream.truth.frame_error_control_errors if uncoded else stream.truth.uncorrectable_codeblocks
    assert receiver.uncorrectable in truth
    assert account_for(frames, case.parameters).virtual_channels == stream.truth.virtual_channels


# --- each impairment does what it says ---


def test_no_impairment_gives_what_was_sent() -> None:
    stream = impair(sent(), Impairments(), seed=1)
    assert stream.octets == sent().octets
    assert stream.bit_length == 8 * len(stream.octets)
    assert stream.truth.frames == sent().frames
    assert stream.truth.uncorrectable_codeblocks == CountRange(0, 0)
    packets = sent().packets[0]
    assert stream.truth.virtual_channels[0].sha256 == hashlib.sha256(b"".join(packets)).hexdigest()


def test_counts_of_every_kind_come_out() -> None:
    damage = Impairments(
        symbol_errors=((1, 2), (16, 3), (17, 4)),
        marker_errors=((2, 3), (9, 2)),
        bit_slips=2,
        cut_frames=2,
        dropped_frames=(1, 5),
        repeated_frames=(1, 2),
        foreign_frames=3,
        noise_gaps=(13,),
        leading_noise_bits=77,
        trailing_noise_bits=5,
    )
    stream = impair(sent(120), damage, seed=9)
    fates = [fate.fate for fate in stream.truth.fates]
    expected = {Fate.CORRECTED: 5, Fate.PAST_CORRECTION: 4, Fate.MARKER_LOST: 2, Fate.SLIPPED: 2, Fate.CUT: 2}
    assert {kind: fates.count(kind) for kind in expected} == expected
    assert len(fates) == 120 - 6 + 3 + 3
    assert stream.truth.uncorrectable_codeblocks.minimum == 4
    assert 4 in stream.truth.uncorrectable_codeblocks and 3 not in stream.truth.uncorrectable_codeblocks
    assert stream.truth.fates[0].bit_offset == 77
    wrong = [fate.corrected_symbols for fate in stream.truth.fates if fate.corrected_symbols]
    assert len(wrong) == 5 and max(wrong) >= 16


def test_inversion_turns_every_bit() -> None:
    stream = impair(sent(), Impairments(invert_all=True), seed=1)
    assert stream.octets == bytes(octet ^ 0xFF for octet in sent().octets)
    assert stream.truth.frames == sent().frames
    assert all(fate.inverted for fate in stream.truth.fates)


@given(leading=st.integers(0, 70), gap=st.integers(1, 3000), trailing=st.integers(0, 70), seed=st.integers(0, 2**32))
@settings(deadline=None, max_examples=30)
def test_noise_of_any_length_stands_between_frames(leading: int, gap: int, trailing: int, seed: int) -> None:
    gap += gap % 8 == 0 and gap <= 8 * 64  # such gaps are refused, see below
    damage = Impairments(leading_noise_bits=leading, noise_gaps=(gap,), trailing_noise_bits=trailing)
    stream = impair(sent(), damage, seed)
    assert stream.bit_length == 8 * len(sent().octets) + leading + gap + trailing
    assert len(stream.octets) == -(-stream.bit_length // 8)
    assert stream.truth.frames == sent().frames
    bits, clean = stream_bits(stream), np.unpackbits(np.frombuffer(sent().octets, dtype=np.uint8))
    noise = next(f.bit_offset for i, f in enumerate(stream.truth.fates) if f.bit_offset != leading + 4112 * i) - gap
    frames = np.concatenate([bits[leading:noise], bits[noise + gap : stream.bit_length - trailing]])
    assert np.array_equal(frames, clean)


def test_recording_that_ends_within_a_frame() -> None:
    stream = impair(sent(), Impairments(truncated_end_bits=1003), seed=1)
    assert stream.bit_length == 8 * len(sent().octets) - 1003
    assert stream_bits(stream).tolist() == np.unpackbits(np.frombuffer(sent().octets, dtype=np.uint8)).tolist()[:-1003]
    assert stream.truth.frames == sent().frames[:-1]


@pytest.mark.parametrize("octets", [1, 3, 32])
def test_noise_that_a_flywheel_would_decode_through_is_refused(octets: int) -> None:
    """The cyclic code: a frame that comes whole octets late is read some codeword symbols out of place, and decodes."""
    damage = Impairments(noise_gaps=(8 * octets,))
    with pytest.raises(ConfigurationError, match="flywheel decodes"):
        impair(sent(), damage, 1)
    long = dataclasses.replace(PARAMETERS, randomizer=Randomizer.LONG)
    assert len(impair(transmit(long, 5, 100), damage, 1).truth.frames) == 100
    assert len(impair(sent(), damage, 1, ReceiverSettings(flywheel_frames=0)).truth.frames) == 100


@given(seed=st.integers(0, 2**32))
@settings(deadline=None, max_examples=25)
def test_same_seed_same_stream(seed: int) -> None:
    damage = dataclasses.replace(SUITE["tm-mixed-0"].impairments, eb_n0_db=(7.0, 5.0))
    one, two = (impair(sent(150), damage, seed) for _ in range(2))
    assert (one.octets, one.bit_length, one.truth) == (two.octets, two.bit_length, two.truth)
    assert impair(sent(150), damage, seed + 1).octets != one.octets


def test_suite_and_transmission_are_the_same_from_one_seed() -> None:
    assert impaired_suite(seed=2026) == SUITE
    assert impaired_suite(seed=2027) != SUITE
    assert transmit(PARAMETERS, seed=5, frames=100) == sent()
    assert transmit(PARAMETERS, seed=6, frames=100).octets != sent().octets


def test_suite_covers_every_code_and_impairment() -> None:
    codes = {
        (case.parameters.frame_type, code.interleaving_depth, code.correctable_symbols, case.parameters.randomizer)
        for case in SUITE.values()
        if (code := case.parameters.reed_solomon) is not None
    }
    of_uslp = {code for code in codes if code[0] is FrameType.USLP}
    assert len(codes - of_uslp) == 2 * 6 * 2 * len(Randomizer)
    assert len({code[1:3] for code in of_uslp if code[1] in (1, 5)}) == 2 * 2
    for field in dataclasses.fields(Impairments):
        assert any(getattr(case.impairments, field.name) for case in SUITE.values()), field.name
    made = (case.make() for name, case in SUITE.items() if "mixed" in name or "uncoded" in name)
    fates = {fate.fate for stream in made for fate in stream.truth.fates}
    assert fates == set(Fate)


def test_foreign_frames_are_valid_but_of_another() -> None:
    for name in (
        *(f"{kind}-alone-foreign-frames" for kind in ("tm", "aos", "uslp")),
        "aos-format-insert-zone",
    ):
        case = SUITE[name]
        stream = case.make()
        bits, seen = stream_bits(stream), []
        for fate in stream.truth.fates:
            if fate.frame_index is None and fate.fate is Fate.INTACT:
                octets = coded_frame(bits, fate.bit_offset, fate.inverted, case.parameters)
                assert octets is not None
                seen.append(octets[: case.parameters.frame_octets])
        account = account_for(seen, case.parameters)
        assert account.foreign_frames == len(seen) > 0
        assert len(seen) <= stream.truth.foreign_frames <= case.impairments.foreign_frames
        assert account.frame_error_control_errors == 0
        if case.impairments == Impairments(foreign_frames=4):
            first = stream.truth.fates.index(next(f for f in stream.truth.fates if f.frame_index is None))
            unit = encode_frames(seen[:1], case.parameters)[0]
            place = stream.truth.fates[first].bit_offset // 8
            assert stream.octets[place : place + len(unit)] == unit.tobytes()


def test_settings_of_the_receiver_change_the_truth_alone_where_markers_are_lost() -> None:
    damage = Impairments(marker_errors=((5, 4),))
    with_flywheel = impair(sent(), damage, 1)
    without = impair(sent(), damage, 1, ReceiverSettings(flywheel_frames=0))
    tolerant = impair(sent(), damage, 1, ReceiverSettings(tolerated_marker_errors=5))
    assert with_flywheel.octets == without.octets
    assert len(with_flywheel.truth.frames) == len(tolerant.truth.frames) == 100
    assert len(without.truth.frames) == 96
    assert sum(each.lost_frames for each in without.truth.virtual_channels.values()) >= 3


@pytest.mark.parametrize(
    ("damage", "changes", "message"),
    [
        (Impairments(bit_slips=40), {}, "too few frames"),
        (Impairments(symbol_errors=((3, 99),)), {}, "symbol_errors: too few frames"),
        (Impairments(dropped_frames=(97,)), {}, "dropped_frames: too few frames"),
        (Impairments(dropped_frames=(0,)), {}, "at least 1"),
        (Impairments(bit_slips=-1), {}, "negative"),
        (Impairments(truncated_end_bits=8), {}, "truncated_end_bits: 288 to 4080"),
        (Impairments(truncated_end_bits=800, trailing_noise_bits=1), {}, "nothing follows"),
        (Impairments(marker_errors=((17, 1),)), {}, "marker_errors: 1 to 16"),
        (Impairments(symbol_errors=((256, 1),)), {}, "symbol_errors: 1 to 255"),
        (Impairments(frame_error_control_errors=1), {}, "frame_error_control_errors"),
        (Impairments(symbol_errors=((1, 1),)), {"reed_solomon": None}, "need reed_solomon"),
        (Impairments(bit_slips=1), {"reed_solomon": None, "frame_error_control_field": False}, "no receiver can tell"),
    ],
)
def test_impossible_damage_is_refused(damage: Impairments, changes: dict[str, object], message: str) -> None:
    parameters = dataclasses.replace(PARAMETERS, **changes)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=message):
        impair(transmit(parameters, 1, 100), damage, 1)


def test_fading_makes_as_many_errors_as_the_signal_level_has() -> None:
    """At 5 dB a hard decision is wrong with probability erfc(sqrt(10^0.5)) / 2 = 0.00595 per bit, 0.0467 per octet."""
    stream = impair(sent(400), Impairments(eb_n0_db=(6.0,)), seed=4)
    # 6 dB: 0.00239 per bit, 0.0190 per octet; 2 x 255 symbols in each frame that is not protected.
    expected = 0.01896 * 510 * 396
    assert abs(stream.truth.corrected_symbols - expected) < 5 * expected**0.5
    dip = impair(sent(400), Impairments(eb_n0_db=(9.0, 4.0, 9.0)), seed=4)
    lost = [index for index, fate in enumerate(dip.truth.fates) if fate.fate is Fate.PAST_CORRECTION]
    assert lost and all(120 < index < 280 for index in lost)


def test_expected_report_has_the_shape_of_a_replay() -> None:
    stream = SUITE["aos-mixed-0"].make()
    report = stream.expected_report()
    assert report["format"] == "ccsds-replay/1"
    assert [row["virtual_channel_id"] for row in report["virtual_channels"]] == [0, 3, 63]
    assert sum(row["frames"] for row in report["virtual_channels"]) == len(stream.truth.frames)
    rows = report["application_processes"] + report["encapsulation"]
    idle = [row for row in rows if row.get("application_process_id") == 2047 or row.get("protocol_id") == 0]
    assert sum(row["packets"] for row in idle) == sum(row["idle_packets"] for row in report["virtual_channels"])
    everything = sum(row["packets"] for row in rows) - sum(row["packets"] for row in idle)
    assert everything == report["totals"]["packets"] > 0
    octets = sum(row["packet_octets"] for row in rows) - sum(row["packet_octets"] for row in idle)
    assert octets == report["totals"]["packet_octets"]


# --- the demo's pass ---


def test_demo_downlink_is_a_noisy_pass() -> None:
    demo = demo_downlink(seed=1, frames=2400)
    stream, truth = demo.stream, demo.stream.truth
    assert b"".join(octets for _, octets in demo.pieces) == stream.octets
    times = [time for time, _ in demo.pieces]
    assert times == sorted(set(times))
    seconds = (times[-1] - demo.parameters.start_time_ns) / 1e9
    assert seconds == pytest.approx(stream.bit_length / demo.parameters.symbol_rate_hz, rel=1e-3)
    assert 2e6 < len(stream.octets) < 5e6
    kinds = {fate.fate for fate in truth.fates}
    assert kinds >= {Fate.INTACT, Fate.CORRECTED, Fate.PAST_CORRECTION, Fate.SLIPPED, Fate.CUT, Fate.MARKER_LOST}
    assert len({fate.inverted for fate in truth.fates}) == 2
    assert sum(each.repeated_frames for each in truth.virtual_channels.values()) == 1
    assert 5 <= truth.uncorrectable_codeblocks.minimum <= 100
    assert truth.corrected_symbols > 1000
    assert set(truth.virtual_channels) == {0, 1, 63}


@pytest.mark.parametrize("seed", range(2, 8))
def test_demo_downlink_of_any_seed_and_length(seed: int) -> None:
    assert demo_downlink(seed=seed, frames=60 * seed).stream.truth.frames


def test_examples_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "impaired-streams.md"
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)
    assert len(examples) == 7
    names: dict[str, object] = {}
    for example in examples:
        exec(compile(example, str(page), "exec"), names)
    assert (tmp_path / "damaged.cadu").stat().st_size > 200_000
