"""Transfer frames of each type: through the receiving chain by the batch, and one at a time as objects."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import harness
import link_streams as streams
import numpy as np

from ccsds.frames.aos import AosTransferFrame
from ccsds.frames.error_control import frame_error_control
from ccsds.frames.tc import SegmentSequenceFlags, TcTransferFrame
from ccsds.frames.tm import TmTransferFrame
from ccsds.frames.uslp import UslpTransferFrame
from ccsds.frames.uslp_data_field import ConstructionRule, UslpTransferFrameDataField
from ccsds.link.managed_parameters import PhysicalChannel, mission_from_dict
from ccsds.link.receiver import Receiver
from ccsds.packets.space_packet import PRIMARY_HEADER

UNIT = "thousand frames/s"
TOTAL = 16 << 20
PIECE = 1 << 20
CALLS = 5_000
SHORT_OCTETS = 256
TITLE = "Transfer frames"
INCLUDED = f"""`benchmarks/frames.py`.  Frames as such, without marker and code, with a frame error control field (AOS
without).  Batch: `Receiver.feed` in pieces of {PIECE >> 20} MiB of {TOTAL >> 20} MiB, to packets, columns and account,
each batch dropped when the next one is there.  TM, AOS and USLP of fixed length: {streams.FRAME_OCTETS} octets full of
space packets of 64 to 1024 octets.  TC and USLP of variable length, back to back: {SHORT_OCTETS} octets with one packet
each, found by the length field.  Objects: one frame of {SHORT_OCTETS} octets, again and again, in a list comprehension,
its error control checked or made; of USLP its data field is decoded too.  spacepackets decodes and encodes USLP frames;
it neither checks nor makes their error control, so it gets frames without it, as do we in the cases that say so."""

SHARED: dict[str, Any] = {"spacecraft_id": streams.SPACECRAFT, "virtual_channel_id": streams.VIRTUAL_CHANNEL}


def channel(frame_type: str, **parameters: Any) -> PhysicalChannel:
    tree = {"frame_type": frame_type, "frame_error_control": True, **parameters}
    tree["master_channels"] = [{"spacecraft_id": streams.SPACECRAFT}]
    built = mission_from_dict({"name": "benchmark", "physical_channel": tree}).physical_channel
    assert built is not None
    return built


def checked(frames: streams.Frames) -> bytes:
    """With the last two octets of each made its frame error control field."""
    codes = [frame_error_control(frame.tobytes()) for frame in frames[:, :-2]]
    frames[:, -2], frames[:, -1] = np.array(codes) >> 8, np.array(codes) & 255
    return frames.tobytes()


def uslp_frames(count: int) -> bytes:
    """Of fixed length, rule 000, a frame count of four octets."""
    header = 14
    zones, pointers = streams._zones(count, streams.FRAME_OCTETS - header - 2)
    frames = np.zeros((count, streams.FRAME_OCTETS), np.uint8)
    first = 0b1100 << 28 | streams.SPACECRAFT << 12 | streams.VIRTUAL_CHANNEL << 5
    streams._put(frames, 0, 4, np.full(count, first))
    streams._put(frames, 4, 2, np.full(count, streams.FRAME_OCTETS - 1))
    frames[:, 6] = 4
    streams._put(frames, 7, 4, np.arange(count))
    streams._put(frames, 12, 2, np.where(pointers == streams.NO_PACKET_START, 0xFFFF, pointers))
    frames[:, header:-2] = zones
    return checked(frames)


def packet(octets: int, count: int) -> bytes:
    return PRIMARY_HEADER.pack_values(0, 0, 0, 100, 3, count % 16384, octets - 7) + bytes(octets - 6)


def tc_frame(number: int, check: bool = True) -> TcTransferFrame:
    octets = SHORT_OCTETS - 6 - 2 * check
    return TcTransferFrame(
        **SHARED,
        transfer_frame_data_unit=packet(octets, number),
        frame_sequence_number=number % 256,
        sequence_flags=SegmentSequenceFlags.UNSEGMENTED,
        map_id=1,
        frame_error_control_present=check,
    )


def uslp_frame(number: int, check: bool = True) -> UslpTransferFrame:
    octets = SHORT_OCTETS - 12 - 2 * check
    zone = packet(octets, number)
    return UslpTransferFrame(
        **SHARED,
        transfer_frame_data_field=UslpTransferFrameDataField(
            construction_rule=ConstructionRule.NO_SEGMENTATION, uslp_protocol_id=0, transfer_frame_data_zone=zone
        ).encode(),
        virtual_channel_frame_count_length=4,
        virtual_channel_frame_count=number,
        frame_error_control_present=check,
    )


def batches() -> dict[str, tuple[bytes, PhysicalChannel, int]]:
    """Octets, how they are received, and how many frames they are."""
    long, short = TOTAL // streams.FRAME_OCTETS, TOTAL // SHORT_OCTETS
    segmented = [
        {
            "spacecraft_id": streams.SPACECRAFT,
            "virtual_channels": [{"virtual_channel_id": streams.VIRTUAL_CHANNEL, "segment_header": True}],
        }
    ]
    size = {"frame_octets": streams.FRAME_OCTETS}
    tc = mission_from_dict(
        {
            "name": "benchmark",
            "physical_channel": {
                "frame_type": "TC",
                "frame_octets": 1024,
                "frame_error_control": True,
                "master_channels": segmented,
            },
        }
    ).physical_channel
    assert tc is not None
    aos = streams.aos_frames(long)
    return {
        "TM, batch": (streams.tm_frames(long).tobytes(), channel("TM", **size), long),
        "AOS, batch": (aos.tobytes(), channel("AOS", **size | {"frame_error_control": False}), long),
        "USLP of fixed length, batch": (uslp_frames(long), channel("USLP", **size), long),
        "USLP of variable length, batch": (
            b"".join(uslp_frame(number).encode() for number in range(short)),
            channel("USLP", frame_octets=1024, variable_frame_length=True),
            short,
        ),
        "TC, batch": (b"".join(tc_frame(number).encode() for number in range(short)), tc, short),
    }


def received(octets: bytes, link: PhysicalChannel) -> Receiver:
    receiver = Receiver(link)
    for at in range(0, len(octets), PIECE):
        receiver.feed(octets[at : at + PIECE])
    receiver.finish()
    return receiver


def objects() -> dict[str, Callable[[], Any]]:
    """Each call decodes or encodes one frame CALLS times."""
    check: dict[str, Any] = {"frame_error_control_present": True}
    tm = TmTransferFrame(
        **SHARED, **check, first_header_pointer=0, transfer_frame_data_field=packet(SHORT_OCTETS - 8, 0)
    )
    check["virtual_channel_frame_count"] = 7
    aos = AosTransferFrame(**SHARED, **check, transfer_frame_data_field=b"\0\0" + packet(SHORT_OCTETS - 10, 0))
    tc, uslp, bare = tc_frame(0), uslp_frame(0), uslp_frame(0, check=False)
    found: dict[str, Callable[[], Any]] = {}
    for name, frame in (
        ("TM", tm),
        ("AOS", aos),
        ("TC", tc),
        ("USLP", uslp),
        ("USLP without error control", bare),
    ):
        found[f"{name}, decode"] = decoder(frame)
        found[f"{name}, encode"] = encoder(frame)
    return found


def decoder(frame: Any) -> Callable[[], Any]:
    octets, decode, managed = frame.encode(), type(frame).decode, frame.managed_parameters
    assert len(octets) == SHORT_OCTETS
    assert decode(octets, **managed) == frame
    if isinstance(frame, UslpTransferFrame):  # the peer decodes the data field, too
        return lambda: [decode(octets, **managed).data_field for _ in range(CALLS)]
    return lambda: [decode(octets, **managed) for _ in range(CALLS)]


def encoder(frame: Any) -> Callable[[], Any]:
    return lambda: [frame.encode() for _ in range(CALLS)]


def build(arguments: argparse.Namespace) -> harness.Report:
    report = harness.Report(TITLE, INCLUDED)
    for case, (octets, link, count) in batches().items():
        account = received(octets, link).account
        if account.totals["frames"] != count or not account.lossless:
            raise AssertionError(f"{case}: {account}")
        measured = harness.measure(lambda octets=octets, link=link: received(octets, link), count / 1e3)  # type: ignore[misc]
        note = f"{harness.figure(len(octets) / measured.median / 1e6)} MB/s"
        report.rows.append(harness.Row(case, UNIT, measured.rate, note=note))
    theirs: dict[str, float] = {}
    note = ""
    if not arguments.no_peers:
        script = Path(__file__).with_name("peers_frames.py")
        try:
            theirs = harness.run_peer(script, "spacepackets", uslp_frame(0, check=False).encode().hex())
        except harness.PeerError as error:
            note = f"not measured: {error}"
    for case, call in objects().items():
        rate = harness.measure(call, CALLS / 1e3).rate
        peer = theirs.get(case)
        name = "spacepackets" if peer or (note and "without" in case) else ""
        report.rows.append(harness.Row(case, UNIT, rate, name, peer, note if name else ""))
    return report


if __name__ == "__main__":
    harness.main(build, __doc__ or "")
