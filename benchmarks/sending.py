"""Packets to frames to what goes on the line: object face and batch face, per frame type, against named peers."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import harness
import numpy as np

from ccsds.frames.aos import AosTransferFrame
from ccsds.frames.tc import TcTransferFrame
from ccsds.frames.tm import TmTransferFrame
from ccsds.frames.uslp import UslpTransferFrame
from ccsds.link.managed_parameters import (
    MasterChannel,
    PhysicalChannel,
    ReedSolomon,
    Synchronization,
    VirtualChannel,
)
from ccsds.link.sender import Sender
from ccsds.packets.space_packet import SpacePacket

SPACECRAFT, CHANNEL = 42, 5
PACKET = SpacePacket(application_process_id=7, packet_data_field=bytes(range(250))).encode()
PACKETS = 4000
BATCH = 40_000
CALLS = 2000
PEER_FRAMES = 40
PEER_PYTHON = "3.13"
TITLE = "Packets to frames"
INCLUDED = f"""`benchmarks/sending.py`.  Space packets of {len(PACKET)} octets on one virtual channel, frames of 1115
octets (TC: 1024).  MB/s (10^6) are of what comes out.

- "object face": `send` for each of {PACKETS} packets, then `frames` for all that they fill: a call per packet,
  an object per frame; validation of every packet, multiplexing, headers, error control.
- "batch face": `send_batch` of {BATCH} packets: validation, headers, pointers, error control, and where it says CADUs
  Reed-Solomon (E=16, I=5), the short randomizer and markers, in one pass.  "frames to CADUs": `cadus` alone.
- "encode", "decode": one frame of a codec, again and again, error control included.  spacepackets has TM and USLP; its
  `pack` of TM frames does not compute the error control field, so that both are without it there.
- cadu_generator: its own `rs_interleave_and_encode`, randomizer and a marker for {PEER_FRAMES} frames; its Reed-Solomon
  code is not that of the standard (see the receiving chain), but the work is the same."""


def channel(kind: Any, *, coded: bool = False) -> PhysicalChannel:
    """One spacecraft, the defaults."""
    own = VirtualChannel(virtual_channel_id=CHANNEL, segment_header=kind == "TC")
    extra: dict[str, Any] = {}
    if coded:
        extra = {
            "reed_solomon": ReedSolomon(interleaving_depth=5),
            "randomizer": "short",
            "synchronization": Synchronization(),
        }
    return PhysicalChannel(
        frame_type=kind,
        frame_octets=1024 if kind == "TC" else 1115,
        frame_error_control=not coded,
        master_channels=(MasterChannel(spacecraft_id=SPACECRAFT, virtual_channels=(own,)),),
        **extra,
    )


def object_face(kind: str) -> list[harness.Row]:
    """Packets in, frames out, one by one."""
    sender = Sender(channel(kind), queue_octets=1 << 30)
    mapped = () if kind in ("TM", "AOS") else (0,)
    point = sender.packets(SPACECRAFT, CHANNEL, *mapped)
    counted: list[int] = []

    def send() -> None:
        for _ in range(PACKETS):
            point.send(PACKET)
        frames = sender.frames(PACKETS)
        counted[:] = [len(frames), sum(len(frame.octets) for frame in frames)]

    measured = harness.measure(send, 1)
    frames, octets = counted
    note = f"{harness.figure(PACKETS / measured.median / 1e3)} kpackets/s"
    case = f"{kind}, object face"
    return [
        harness.Row(case, "kframes/s", frames / measured.median / 1e3, note=note),
        harness.Row(case, "MB/s", octets / measured.median / 1e6),
    ]


def batch_face(kind: str) -> list[harness.Row]:
    """Packets in, frames or CADUs out, all at once."""
    octets = PACKET * BATCH
    offsets = (np.arange(BATCH + 1) * len(PACKET)).astype(np.uint64)
    rows = []
    for coded in (False, True):
        sender = Sender(channel(kind, coded=coded))
        made = len(sender.send_batch(SPACECRAFT, CHANNEL, octets, offsets, coded=coded))
        measured = harness.measure(
            lambda sender=sender, coded=coded: sender.send_batch(SPACECRAFT, CHANNEL, octets, offsets, coded=coded),  # type: ignore[misc]
            made / 1e6,
        )
        frames = made / (1279 if coded else 1115)
        note = (
            f"{harness.figure(frames / measured.median / 1e3)} kframes/s, "
            f"{harness.figure(BATCH / measured.median / 1e6)} million packets/s"
        )
        what = "to CADUs" if coded else "to frames"
        rows.append(harness.Row(f"{kind}, batch face {what}", "MB/s", measured.rate, note=note))
    return rows


def coding(theirs: dict[str, float], note: str) -> harness.Row:
    """Frames to CADUs."""
    sender = Sender(channel("AOS", coded=True))
    frames = b"".join(frame.octets for frame in sender.emit(4000))
    measured = harness.measure(lambda: sender.cadus(frames), 4000 * 1279 / 1e6)
    return harness.Row("frames to CADUs", "MB/s", measured.rate, "cadu_generator", theirs.get("cadus"), note)


COMMON: dict[str, Any] = {"spacecraft_id": SPACECRAFT, "virtual_channel_id": CHANNEL}
DATA = bytes(range(256)) * 4


def codecs() -> dict[str, tuple[Any, dict[str, Any]]]:
    """A frame of each type and how it is decoded."""
    tm = TmTransferFrame(first_header_pointer=0, transfer_frame_data_field=DATA, **COMMON)
    aos = AosTransferFrame(
        virtual_channel_frame_count=7,
        transfer_frame_data_field=b"\0\0" + DATA,
        frame_error_control_present=True,
        **COMMON,
    )
    tc = TcTransferFrame(transfer_frame_data_unit=DATA[:1000], frame_error_control_present=True, **COMMON)
    uslp = UslpTransferFrame(
        transfer_frame_data_field=b"\xe0" + DATA,
        virtual_channel_frame_count_length=1,
        virtual_channel_frame_count=7,
        frame_error_control_present=True,
        **COMMON,
    )
    return {
        "TM": (tm, {"frame_error_control_present": False}),
        "AOS": (aos, {"frame_error_control_present": True}),
        "TC": (tc, {"frame_error_control_present": True, "segment_header_present": False}),
        "USLP": (uslp, {"frame_error_control_present": True}),
    }


def codec_rows(theirs: dict[str, float], note: str) -> list[harness.Row]:
    """Encode and decode of one frame."""
    rows = []
    for kind, (frame, managed) in codecs().items():
        octets = frame.encode()
        calls: dict[str, Callable[[], Any]] = {
            "encode": lambda frame=frame: [frame.encode() for _ in range(CALLS)],  # type: ignore[misc]
            "decode": lambda frame=frame, octets=octets, managed=managed: [  # type: ignore[misc]
                type(frame).decode(octets, **managed) for _ in range(CALLS)
            ],
        }
        for what, call in calls.items():
            case = f"{kind} {what}"
            rate = harness.measure(call, CALLS / 1e3).rate
            peer = "spacepackets" if kind in ("TM", "USLP") else ""
            rows.append(harness.Row(case, "kframes/s", rate, peer, theirs.get(case), note if peer else ""))
    return rows


def build(arguments: argparse.Namespace) -> harness.Report:
    report = harness.Report(TITLE, INCLUDED)
    script = Path(__file__).with_name("peers_sending.py")
    figures: dict[str, dict[str, float]] = {"spacepackets": {}, "cadu_generator": {}}
    notes = dict.fromkeys(figures, "")
    if not arguments.no_peers:
        frames = {kind: frame.encode().hex() for kind, (frame, _) in codecs().items()}
        for peer, python, given in (
            ("spacepackets", None, (frames["TM"], frames["USLP"])),
            ("cadu_generator", PEER_PYTHON, (str(PEER_FRAMES),)),
        ):
            try:
                figures[peer] = harness.run_peer(script, peer, *given, python=python)
            except harness.PeerError as error:
                notes[peer] = f"not measured: {error}"
    for kind in ("TM", "AOS", "TC", "USLP"):
        report.rows += object_face(kind)
    for kind in ("TM", "AOS"):
        report.rows += batch_face(kind)
    report.rows.append(coding(figures["cadu_generator"], notes["cadu_generator"]))
    report.rows += codec_rows(figures["spacepackets"], notes["spacepackets"])
    return report


if __name__ == "__main__":
    harness.main(build, __doc__ or "")
