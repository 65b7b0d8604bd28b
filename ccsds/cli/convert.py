"""`ccsds convert`: frame file, CADU file, packet file, hexadecimal lines and capture, from one to another."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ccsds.cli import style
from ccsds.cli.inputs import Piece, Selection, Source, open_source
from ccsds.cli.problems import InputProblem, UsageProblem
from ccsds.cli.source_options import find_profile, input_options, mission_options

if TYPE_CHECKING:
    from ccsds.link.managed_parameters import PhysicalChannel

__all__ = ["command"]

FORMATS: Final = ("auto", "frames", "cadus", "packets", "hex", "pcapng", "pcap")
_SUFFIXES: Final = {
    ".frames": "frames",
    ".cadu": "cadus",
    ".cadus": "cadus",
    ".packets": "packets",
    ".hex": "hex",
    ".pcapng": "pcapng",
    ".pcap": "pcap",
}
_BATCH_OCTETS = 1 << 20
Records = Iterable[tuple[bytes | memoryview, int]]
"""Records, each with its reception time in nanoseconds, or -1."""


@click.command(
    cls=style.Command,
    examples=[
        ("ccsds convert pass.cadu pass.pcapng --mission snpp", "a CADU in each UDP datagram"),
        ("ccsds convert pass.cadu pass.frames --mission snpp", "decode: frames back to back"),
        ("ccsds convert pass.frames pass.cadu --mission snpp", "encode: code, randomizer, marker"),
    ],
)
@style.argument("source", group="Input", help="capture, CADU, frame, packet or hex file; - for standard input")
@style.argument("target", group="Output", help="file to write; - for standard output")
@input_options
@mission_options
@style.option(
    "--to", "wanted", group="Output", type=click.Choice(FORMATS), default="auto", help="[by the target's name]"
)
@style.option("--udp-port", group="Output", type=click.IntRange(0, 65535), default=5000, help="of a capture")
@style.option("--bare", group="Output", is_flag=True, help="of a capture: records without Ethernet, IP and UDP")
def command(
    source: str,
    target: str,
    container: str,
    mission: str | None,
    content: str,
    wanted: str,
    udp_port: int,
    bare: bool,
    **selection: Any,
) -> None:
    """Frame file, CADU file, packet file, hexadecimal lines and capture, from one to another.

    Between CADUs and frames it decodes and encodes as the profile says.  Otherwise records stay as they are: a CADU, a
    frame or a packet is a line of hexadecimal or a datagram of a capture.
    """
    form = _form(target, wanted)
    if source != "-" and Path(target).exists() and Path(target).samefile(source):
        raise UsageProblem(f"{target} is the source; it would be lost")
    channel = find_profile(mission, content).physical_channel
    held = "packets" if channel is None else "frames" if channel.synchronization is None else "cadus"
    with open_source(source, container=container, selection=Selection(**selection)) as opened:
        records, remarks = _records_for(opened, held, form, channel, mission, content)
        with _closed_pipe_told(), ExitStack() as stack:
            octets = 0
            write = None  # the target is not touched before there is something to write
            for batch in _batched(records):
                write = write or _writer(target, form, stack, udp_port, bare)
                octets += write(batch)
    for remark in [*opened.remarks, *remarks()]:
        click.echo(f"ccsds convert: {remark}", err=True)
    if not octets:
        asked = ": is it the right profile?" if form == "frames" else ""
        raise InputProblem(f"{source}: nothing to convert in {opened.octets_read:,} octets{asked}")
    click.echo(f"ccsds convert: {octets:,} octets of {held if form in _CONTAINERS else form}", err=True)


@contextmanager
def _closed_pipe_told() -> Iterator[None]:
    """A port wraps the error of a pipe whose reader has gone; hand on the error itself, which ends us in silence."""
    try:
        yield
    except Exception as error:
        if isinstance(error.__context__, BrokenPipeError):
            raise error.__context__ from None
        raise


_CONTAINERS = ("hex", "pcapng", "pcap")


def _form(target: str, wanted: str) -> str:
    if wanted != "auto":
        return wanted
    suffix = target[target.rfind(".") :].lower() if "." in target else ""
    if suffix not in _SUFFIXES:
        known = ", ".join(_SUFFIXES)
        raise UsageProblem(f"{target}: the name does not tell the format ({known}); choose one with --to")
    return _SUFFIXES[suffix]


def _records_for(
    source: Source, held: str, form: str, channel: PhysicalChannel | None, mission: str | None, content: str
) -> tuple[Records, Callable[[], list[str]]]:
    """The records to write, and what there is to say afterwards."""
    if form in _CONTAINERS or form == held:
        return _cut(source, held, channel), list
    if held == "packets" or form == "packets" or channel is None:
        hint = "; ccsds replay --packets takes packets out of frames" if form == "packets" else ""
        raise UsageProblem(f"{held} cannot become {form} here{hint}")
    if channel.deinterleaving_depth > 1:
        raise UsageProblem(f"the profile {mission} de-interleaves its frames: they cannot be coded here")
    if form == "frames":
        decoder = _Decoder(channel)
        return decoder.records(source), decoder.remarks
    coded = find_profile(mission, "auto").physical_channel
    if coded is None or coded.synchronization is None:
        raise UsageProblem(f"the profile {mission} has no [physical_channel.synchronization]: it knows no CADUs")
    encoder = _Encoder(coded)
    return encoder.records(_cut(source, "frames", channel)), encoder.remarks


def _cut(source: Source, held: str, channel: PhysicalChannel | None) -> Records:
    """Records as they came; a stretch of octets is cut into records, a last one that is not whole included."""
    if channel is None:
        yield from _cut_packets(source)
        return
    marker = len(channel.synchronization.marker) // 2 if channel.synchronization else 0
    size = marker + channel.record_octets
    rest, time_ns = b"", -1
    for piece in source:
        if not piece.is_stream:
            yield from _of_piece(piece)
            continue
        octets = rest + piece.octets
        whole = len(octets) // size * size
        for at in range(0, whole, size):
            yield octets[at : at + size], time_ns
        rest = octets[whole:]
    if rest:
        yield rest, time_ns


def _cut_packets(source: Source) -> Records:
    from ccsds.link.packet_batch import PacketWalker

    walker = PacketWalker()
    left = b""
    for piece in source:
        if not piece.is_stream:
            yield from _of_piece(piece)
            continue
        batch = walker.feed(piece.octets)
        for number in range(len(batch)):
            yield batch.packet_octets(number), -1
        octets = left + piece.octets
        left = octets[len(octets) - batch.trailing_octets :] if walker.refusal is None else octets
    if left:
        yield left, -1


def _of_piece(piece: Piece) -> Records:
    assert piece.offsets is not None and piece.times_ns is not None
    bounds = piece.offsets.tolist()
    view = memoryview(piece.octets)
    for start, end, time_ns in zip(bounds, bounds[1:], piece.times_ns.tolist(), strict=False):
        yield view[start:end], time_ns


class _Decoder:
    """CADUs to frames; those past correction are left out and told."""

    def __init__(self, channel: PhysicalChannel) -> None:
        from ccsds.link.receiver import Receiver

        self._receiver = Receiver(channel)

    def records(self, source: Source) -> Records:
        for piece in source:
            if piece.offsets is None or piece.times_ns is None:
                yield from self._frames(self._receiver.feed(piece.octets))
            else:
                yield from self._frames(self._receiver.feed_records(piece.octets, piece.offsets, piece.times_ns))
        yield from self._frames(self._receiver.finish())

    @staticmethod
    def _frames(batch: Any) -> Iterator[tuple[bytes, int]]:
        frames = batch.frames
        decoded = frames[frames["corrected_symbols"] >= 0]
        for row, time_ns in zip(decoded.octets, decoded["reception_time_ns"].tolist(), strict=True):
            yield row.tobytes(), time_ns

    def remarks(self) -> list[str]:
        """What did not become frames."""
        account = self._receiver.account
        lost = account.totals["uncorrectable_codeblocks"]
        skipped = (account.synchronization or {}).get("skipped_bits", 0)
        remarks = [f"{lost:,} codeblocks past correction, left out"] if lost else []
        return remarks + ([f"{skipped:,} bits outside of frames, left out"] if skipped else [])


class _Encoder:
    """Frames to CADUs: Reed-Solomon, randomizer, marker."""

    def __init__(self, channel: PhysicalChannel) -> None:
        from ccsds.coding.randomizer import sequence_octets
        from ccsds.coding.reed_solomon import ReedSolomonCode

        code = channel.reed_solomon
        self._channel = channel
        self._marker = bytes.fromhex(channel.synchronization.marker) if channel.synchronization else b""
        self._code = code and ReedSolomonCode(
            code.error_correction, code.interleaving_depth, code.virtual_fill, code.basis
        )
        sequence = channel.randomizer and sequence_octets(channel.randomizer, channel.record_octets)
        self._sequence = int.from_bytes(sequence, "big") if sequence else 0
        self._wrong_length = 0

    def records(self, frames: Records) -> Records:
        size = self._channel.record_octets
        for frame, time_ns in frames:
            if len(frame) != self._channel.frame_octets:
                self._wrong_length += 1
                continue
            block = self._code.encode(frame) if self._code else bytes(frame)
            randomized = int.from_bytes(block, "big") ^ self._sequence
            yield self._marker + randomized.to_bytes(size, "big"), time_ns

    def remarks(self) -> list[str]:
        """What did not become CADUs."""
        count, octets = self._wrong_length, self._channel.frame_octets
        return [f"{count:,} records that have not the {octets} octets of a frame, left out"] if count else []


def _batched(records: Records) -> Iterator[list[tuple[bytes | memoryview, int]]]:
    batch: list[tuple[bytes | memoryview, int]] = []
    held = 0
    for record in records:
        batch.append(record)
        held += len(record[0])
        if held >= _BATCH_OCTETS:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _writer(
    target: str, form: str, stack: ExitStack, udp_port: int, bare: bool
) -> Callable[[list[tuple[bytes | memoryview, int]]], int]:
    """A function that writes a batch of records and returns their octets."""
    if form in ("pcapng", "pcap"):
        return _capture_writer(target, form, stack, udp_port, bare)
    stream = sys.stdout.buffer if target == "-" else stack.enter_context(Path(target).open("wb"))  # noqa: SIM115

    def write(batch: list[tuple[bytes | memoryview, int]]) -> int:
        if form == "hex":
            stream.write("".join(f"{record.hex()}\n" for record, _ in batch).encode())
        else:
            stream.writelines(record for record, _ in batch)
        return sum(len(record) for record, _ in batch)

    return write


def _capture_writer(
    target: str, form: str, stack: ExitStack, udp_port: int, bare: bool
) -> Callable[[list[tuple[bytes | memoryview, int]]], int]:
    from netmap_io.burst import Burst
    from netmap_io.drivers.pcap import PcapWriter
    from netmap_io.payload import PayloadError, udp_frames

    writer = PcapWriter(target, format=form, link_type="raw_octets" if bare else "ethernet")
    stack.enter_context(writer)

    def write(batch: list[tuple[bytes | memoryview, int]]) -> int:
        burst = Burst.of([record for record, _ in batch], [time_ns for _, time_ns in batch])
        try:
            writer.send(burst if bare else udp_frames(burst, port=udp_port))
        except PayloadError as error:
            raise UsageProblem(f"{error}; --bare writes records of any length") from None
        return burst.octets

    return write
