"""The receiving chain against damage whose truth comes from bookkeeping, not from decoding."""

from __future__ import annotations

import random

import pytest

from ccsds.link.frame_batch import STATUS
from ccsds.link.receiver import Receiver
from ccsds.testing.impaired_stream import ImpairedCase, ImpairedStream, impaired_suite
from ccsds.testing.receiving_end import channel_of

CASES = list(impaired_suite(seed=20261124).values())


def received(stream: ImpairedStream, sizes: list[int]) -> tuple[Receiver, list[bytes], list[int]]:
    """The stream in pieces of these sizes (the last one repeated): receiver, delivered frames, their corrections."""
    receiver = Receiver(channel_of(stream.parameters, stream.receiver), digest=True)
    at, batches = 0, []
    while at < len(stream.octets):
        size = sizes.pop(0) if len(sizes) > 1 else sizes[0]
        batches.append(receiver.feed(stream.octets[at : at + size]))
        at += size
    batches.append(receiver.finish())
    frames, corrected = [], []
    for batch in batches:
        assert batch.frames is not None
        own = (batch.frames["status"] == STATUS["accepted"]) | (batch.frames["status"] == STATUS["repeated"])
        frames += [row.tobytes() for row in batch.frames.octets[own]]
        decoded = batch.frames["corrected_symbols"]
        corrected += decoded[decoded > 0].tolist()
    return receiver, frames, corrected


@pytest.mark.conforms("CCSDS 732.0-B-5", "4.3", "all frames reception: frame error control")
@pytest.mark.conforms("CCSDS 132.0-B-3", "3", "virtual channel packet service, receiving")
@pytest.mark.conforms("CCSDS 132.0-B-3", "4.3", "virtual channel and master channel demultiplexing")
@pytest.mark.conforms("CCSDS 132.0-B-3", "4.3", "gaps of the frame counts signalled")
@pytest.mark.conforms("CCSDS 132.0-B-3", "4.3", "all frames reception: frame error control")
@pytest.mark.conforms("CCSDS 732.0-B-5", "3", "virtual channel packet service, receiving")
@pytest.mark.conforms("CCSDS 732.0-B-5", "4.3", "virtual channel and master channel demultiplexing")
@pytest.mark.conforms("CCSDS 131.0-B-5", "9", "frame synchronization by attached sync marker")
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_damaged_stream_gives_its_truth(case: ImpairedCase) -> None:
    stream = case.make()
    receiver, frames, corrected = received(stream, [len(stream.octets)])
    truth, account = stream.truth, receiver.account
    assert frames == list(truth.frames)
    assert account.totals["foreign_frames"] == truth.foreign_frames
    assert sum(corrected) == truth.corrected_symbols
    assert account.totals["uncorrectable_codeblocks"] in truth.uncorrectable_codeblocks
    assert account.totals["fecf_errors"] in truth.frame_error_control_errors
    rows = {row["virtual_channel_id"]: row for row in account.virtual_channels}
    assert sorted(rows) == sorted(truth.virtual_channels)
    for virtual_channel_id, expected in truth.virtual_channels.items():
        names = ("frames", "repeated_frames", "counter_gaps", "lost_frames", "only_idle_data_frames")
        names += ("packets", "packet_octets", "idle_packets", "sha256")
        row = rows[virtual_channel_id]
        assert {name: row[name] for name in names} == {name: getattr(expected, name) for name in names}


@pytest.mark.parametrize("case", CASES[::7], ids=[case.name for case in CASES[::7]])
def test_the_split_changes_nothing(case: ImpairedCase) -> None:
    stream = case.make()
    whole = received(stream, [len(stream.octets)])
    cuts = random.Random(case.name)
    sizes = [cuts.choice((1, 2, 3, 17, 255, 1024, 5000, 40_000)) for _ in range(400)] + [7919]
    pieces = received(stream, sizes)
    assert pieces[1:] == whole[1:]
    assert pieces[0].account == whole[0].account


def test_bits_are_taken_as_octets_are() -> None:
    stream = CASES[0].make()
    channel = channel_of(stream.parameters, stream.receiver)
    by_octets, by_bits = Receiver(channel, digest=True), Receiver(channel, digest=True)
    bits = bytes(octet >> shift & 1 for octet in stream.octets for shift in range(7, -1, -1))
    by_octets.feed(stream.octets)
    by_octets.finish()
    for at in range(0, len(bits), 99_991):
        by_bits.feed_bits(bits[at : at + 99_991])
    by_bits.finish()
    assert by_bits.account == by_octets.account
