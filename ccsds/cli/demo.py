"""`ccsds demo`: a noisy downlink made, recorded, replayed like any recording, and held against the sender's books."""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from ccsds.cli import style
from ccsds.cli.inputs import open_source
from ccsds.cli.problems import INTERRUPTED, Problem, UsageProblem
from ccsds.cli.replay import Replay
from ccsds.cli.source_options import find_profile

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rich.console import Console

    from ccsds.link.account import Account
    from ccsds.link.managed_parameters import Mission
    from ccsds.link.receiver import Batch
    from ccsds.testing.impaired_stream import DemoDownlink, ImpairedStream

__all__ = ["Check", "Observer", "command", "compare", "profile_as_toml"]

FORMAT: Final = "ccsds-demo/1"
UDP_PORT: Final = 5000
HEADING: Final = "# Written by `ccsds demo`: the managed parameters of the pass beside this file."
FEWEST_FRAMES, MOST_FRAMES = 60, 50_000  # below, there is no room for all that happens; above, it no longer is a demo
CUC_EPOCH_NS: Final = -378_691_200_000_000_000  # 1958-01-01; the transmitter leaves leap seconds out
CHANNEL_NAMES: Final = {0: "housekeeping", 1: "science", 63: "idle"}


@click.command(
    cls=style.Command,
    examples=[
        ("ccsds demo", "make a pass, lose some of it, get back all that can be got"),
        ("ccsds demo --seed 7 --frames 600 --folder pass", "another pass, kept where you say"),
        ("ccsds demo --json | python3 -m json.tool", "the account and the comparison for a machine"),
    ],
    exit_codes=(0, 1, 2, 3, 130),
)
@style.option("--seed", group="Pass", type=click.IntRange(0), default=1, show_default=True, help="of all that is drawn")
@style.option(
    "--frames",
    group="Pass",
    type=click.IntRange(FEWEST_FRAMES, MOST_FRAMES),
    default=2400,
    show_default=True,
    help="to send",
)
@style.option("--folder", group="Output", metavar="DIR", help="for the recording and profile [a new temporary one]")
@style.option(
    "--keep/--no-keep", group="Output", default=True, help="leave the recording and profile in place [--keep]"
)
@style.option("--json", "as_json", group="Output", is_flag=True, help="account and comparison as JSON, and only that")
def command(seed: int, frames: int, folder: str | None, keep: bool, as_json: bool) -> int:
    """A noisy downlink made, recorded, replayed and explained.

    A simulated spacecraft sends packets in AOS frames, Reed-Solomon coded and randomized; noise, a slipped bit, a cut
    frame, turned polarity and more befall them.  What comes out of the receiver is compared with the transmitter's
    books: exit code 1 if one line of them disagrees.
    """
    with tempfile.TemporaryDirectory() if folder is None and not keep else nullcontext(folder) as place:
        files = _Files(place or tempfile.mkdtemp(prefix="ccsds-demo-"))
        try:
            return _demonstrate(files, seed, frames, as_json, keep)
        finally:
            if not keep:
                files.remove()


def _demonstrate(files: _Files, seed: int, frames: int, as_json: bool, keep: bool) -> int:
    from ccsds.testing.impaired_stream import demo_downlink

    downlink = demo_downlink(seed, frames)
    files.write(downlink, seed, frames)
    console = style.console()
    if not as_json:
        _introduce(console, downlink, files, keep)
    observer = Observer()
    with open_source(str(files.recording)) as source:
        replay = Replay(find_profile(str(files.profile), "auto"), source, deliver_idle_packets=False)
        whole = replay.run(observer.write, nullcontext(lambda: None))
    account = replay.account()
    checks = compare(downlink.stream, account, observer) if whole else []
    if as_json:
        _write_json(files, seed, frames, account, checks, whole, keep)
    else:
        from ccsds.cli.report import print_account

        print_account(account, console, elapsed_s=replay.elapsed_s, octets=source.octets_read, whole=whole)
        if whole:
            _explain(console, downlink, observer, checks)
    if not whole:
        return INTERRUPTED
    wrong = [check.what for check in checks if not check.agrees]
    if wrong:
        raise Problem(
            f"the receiver and the transmitter's books disagree on {len(wrong)} of {len(checks)} lines: "
            f"{'; '.join(wrong)}; please report it, with --seed {seed} --frames {frames}"
        )
    return 0


class _Files:
    """The recording and its profile in a folder, of which nothing else is touched."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self.recording = self.folder / "demo.pcapng"
        self.profile = self.folder / "demo.toml"
        self._made_folder = not self.folder.exists()
        if not self._made_folder and not self.folder.is_dir():
            raise UsageProblem(f"{folder} is a file; a folder is needed")
        if any(each.exists() for each in (self.recording, self.profile)) and not self._is_ours():
            raise UsageProblem(f"{folder} holds a demo.pcapng or demo.toml that is not of this command; choose another")

    def _is_ours(self) -> bool:
        return self.profile.is_file() and self.profile.read_bytes().startswith(HEADING.encode())

    def write(self, downlink: DemoDownlink, seed: int, frames: int) -> None:
        """The profile as TOML, the pieces as UDP datagrams with the time at which each was received."""
        from netmap_io.burst import Burst
        from netmap_io.drivers.pcap import PcapWriter
        from netmap_io.payload import udp_frames

        self.folder.mkdir(parents=True, exist_ok=True)
        self.profile.write_text(profile_as_toml(_mission(downlink.stream)), encoding="utf-8")
        times_ns, octets = zip(*downlink.pieces, strict=True)
        comment = f"ccsds demo --seed {seed} --frames {frames}"
        with PcapWriter(self.recording, name="demodulator", comment=comment) as writer:
            writer.send(udp_frames(Burst.of(octets, times_ns), port=UDP_PORT))

    def remove(self) -> None:
        for each in (self.recording, self.profile):
            each.unlink(missing_ok=True)
        if self._made_folder:
            self.folder.rmdir()

    @property
    def replay_line(self) -> str:
        """The command line that replays the recording."""
        return shlex.join(["ccsds", "replay", str(self.recording), "--mission", str(self.profile)])


def _mission(stream: ImpairedStream) -> Mission:
    from ccsds.link.managed_parameters import Mission
    from ccsds.testing.receiving_end import channel_of

    channel = channel_of(stream.parameters, stream.receiver)
    masters = [
        msgspec.structs.replace(
            master,
            name="demo spacecraft",
            virtual_channels=tuple(
                msgspec.structs.replace(each, name=CHANNEL_NAMES.get(each.virtual_channel_id, ""))
                for each in master.virtual_channels
            ),
        )
        for master in channel.master_channels
    ]
    return Mission(
        name="Demo",
        description="A noisy pass of a simulated spacecraft.",
        source="ccsds demo",
        physical_channel=msgspec.structs.replace(channel, master_channels=tuple(masters)),
    )


def profile_as_toml(mission: Mission) -> str:
    """A profile that loads to `mission` again; what is as the defaults is left out."""
    return "\n".join([HEADING, *_toml_lines(mission, "")]) + "\n"


def _toml_lines(node: msgspec.Struct, path: str) -> list[str]:
    defaults = {field.name: field.default for field in msgspec.structs.fields(node)}
    items = {name: value for name, value in msgspec.structs.asdict(node).items() if value != defaults[name]}
    lines: list[str] = []
    deeper: list[str] = []
    for name, value in items.items():
        inside = f"{path}.{name}" if path else name
        if isinstance(value, msgspec.Struct):
            deeper += ["", f"[{inside}]", *_toml_lines(value, inside)]
        elif isinstance(value, tuple) and value and isinstance(value[0], msgspec.Struct):
            for each in value:
                deeper += ["", f"[[{inside}]]", *_toml_lines(each, inside)]
        else:
            lines.append(f"{name} = {json.dumps(value)}")  # numbers, strings, booleans and arrays read alike in TOML
    return lines + deeper


class Observer:
    """Looks at what a receiver delivers, batch by batch: columns of all frames, their digest, some packets to show."""

    COLUMNS = (
        *("bit_position", "reception_time_ns", "corrected_symbols", "lost_frames_before"),
        *("status", "quality", "virtual_channel_id"),
    )

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._columns: dict[str, list[NDArray[Any]]] = {name: [] for name in self.COLUMNS}
        self.shown: dict[str, tuple[bytes, dict[str, int]]] = {}

    def write(self, batch: Batch) -> None:
        """Take in one batch."""
        from ccsds.link.frame_batch import STATUS

        frames = batch.frames
        if frames is None:
            return
        own = (frames["status"] == STATUS["accepted"]) | (frames["status"] == STATUS["repeated"])
        self._digest.update(frames.octets[own].tobytes())
        for name in self.COLUMNS:
            self._columns[name].append(frames[name])
        packets = batch.packets
        if not len(packets):
            return
        self._show("first", packets, 0)
        most = int(packets["corrected_symbols"].argmax())
        if "most repaired" not in self.shown or (
            int(packets["corrected_symbols"][most]) > self.shown["most repaired"][1]["corrected_symbols"]
        ):
            self.shown.pop("most repaired", None)
            self._show("most repaired", packets, most)
        after_loss = packets["lost_frames_before"].nonzero()[0]
        if len(after_loss):
            self._show("after a loss", packets, int(after_loss[0]))

    def _show(self, why: str, packets: Any, number: int) -> None:
        names = (
            *("virtual_channel_id", "frame_index", "reception_time_ns"),
            *("corrected_symbols", "lost_frames_before"),
        )
        if why not in self.shown:
            origin = {name: int(packets[name][number]) for name in names}
            self.shown[why] = bytes(packets.packet_octets(number)), origin

    @property
    def frames_sha256(self) -> str:
        """Digest of the delivered frames, repeated ones included, in order."""
        return self._digest.hexdigest()

    def column(self, name: str) -> NDArray[Any]:
        """One value per frame, in order of reception."""
        import numpy as np

        return np.concatenate(self._columns[name])


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the comparison.  `virtual_channel_id` is None for what concerns all of the channel."""

    what: str
    truth: int | str
    received: int | str
    agrees: bool
    virtual_channel_id: int | None = None


def compare(stream: ImpairedStream, account: Account, observer: Observer) -> list[Check]:
    """The receiver's account against the transmitter's books, line by line."""
    truth, totals = stream.truth, account.totals
    digest = hashlib.sha256(b"".join(truth.frames)).hexdigest()
    past = truth.uncorrectable_codeblocks
    lost = totals["uncorrectable_codeblocks"]
    span = f"{past.minimum} to {past.maximum}"
    checks = [
        _equal("frames delivered", len(truth.frames), sum(row["frames"] for row in account.virtual_channels)),
        _equal("SHA-256 of the frames", digest, observer.frames_sha256),
        _equal("foreign frames set aside", truth.foreign_frames, totals["foreign_frames"]),
        _equal("symbols corrected", truth.corrected_symbols, totals["corrected_symbols"]),
        _corrections(stream, observer),
        Check(what="codeblocks past correction", truth=span, received=lost, agrees=lost in past),
    ]
    received = {row["virtual_channel_id"]: row for row in account.virtual_channels}
    report = stream.expected_report()
    for row in report["virtual_channels"]:
        channel = row["virtual_channel_id"]
        got = received.pop(channel, {})
        for name, value in row.items():
            if name not in ("spacecraft_id", "virtual_channel_id"):
                checks.append(_equal(_spoken(name), value, got.get(name, "nothing"), channel))
    checks += [_equal(f"virtual channel {channel}", "nothing", "frames") for channel in received]
    checks += _compare_processes(report["application_processes"], account)
    return checks


def _equal(what: str, truth: int | str, received: int | str, channel: int | None = None) -> Check:
    return Check(what=what, truth=truth, received=received, agrees=truth == received, virtual_channel_id=channel)


def _spoken(name: str) -> str:
    return "SHA-256 of the packets" if name == "sha256" else name.replace("_", " ")


def _corrections(stream: ImpairedStream, observer: Observer) -> Check:
    """Every frame that can be decoded, found at its bit and with as many symbols corrected as were damaged."""
    positions, corrected = observer.column("bit_position"), observer.column("corrected_symbols")
    seen = dict(zip(positions.tolist(), corrected.tolist(), strict=True))
    whole = [fate for fate in stream.truth.fates if _decodable(fate.fate.name, stream)]
    right = sum(seen.get(fate.bit_offset) == fate.corrected_symbols for fate in whole)
    return _equal("corrections, frame by frame", len(whole), right)


def _decodable(fate: str, stream: ImpairedStream) -> bool:
    return fate in ("INTACT", "CORRECTED") or (fate == "MARKER_LOST" and stream.receiver.flywheel_frames > 0)


def _compare_processes(expected: list[dict[str, Any]], account: Account) -> list[Check]:
    names = ("packets", "packet_octets", "sequence_gaps", "missing_packets")
    key = ("virtual_channel_id", "application_process_id")
    received = {tuple(row[name] for name in key): row for row in account.application_processes}
    checks = []
    for row in expected:
        got = received.pop(tuple(row[name] for name in key), {})
        sent, came = (", ".join(str(source.get(name, "nothing")) for name in names) for source in (row, got))
        checks.append(_equal(f"APID {row['application_process_id']}", sent, came, row["virtual_channel_id"]))
    return checks + [_equal(f"APID {process}", "nothing", "packets", channel) for channel, process in received]


def _write_json(
    files: _Files, seed: int, frames: int, account: Account, checks: list[Check], whole: bool, keep: bool
) -> None:
    tree = {
        "format": FORMAT,
        "seed": seed,
        "frames_sent": frames,
        "recording": str(files.recording) if keep else None,
        "profile": str(files.profile) if keep else None,
        "replay": files.replay_line if keep else None,
        "agrees": whole and all(check.agrees for check in checks),
        "comparison": msgspec.to_builtins(checks),
        "account": account.to_dict(),
    }
    json.dump(tree, sys.stdout, indent=2)
    sys.stdout.write("\n")


def _introduce(console: Console, downlink: DemoDownlink, files: _Files, keep: bool) -> None:
    """What is sent, what befalls it, where it is recorded."""
    stream, code = downlink.stream, downlink.parameters.reed_solomon
    assert code is not None
    fates = stream.truth.fates
    kinds = [fate.fate.name for fate in fates]
    seconds = (downlink.pieces[-1][0] - downlink.pieces[0][0]) / 1e9
    befell = (
        (kinds.count("CORRECTED"), "frames with symbol errors"),
        (kinds.count("PAST_CORRECTION"), "past correction"),
        (kinds.count("MARKER_LOST"), "without a marker"),
        (kinds.count("SLIPPED"), "with a slipped bit"),
        (kinds.count("CUT"), "cut short"),
        (sum(fate.inverted for fate in fates), "inverted"),
        (sum(fate.frame_index is None for fate in fates), "of another spacecraft"),
    )
    coded = f"RS(255,{255 - 2 * code.correctable_symbols}) I={code.interleaving_depth}"
    console.print("A pass of a simulated spacecraft", style="bold")
    size = downlink.parameters.frame_octets
    console.print(f"  sent      {len(fates):,} AOS frames of {size} octets, {coded}, randomized")
    console.print(f"  befallen  {', '.join(f'{number:,} {what}' for number, what in befell if number)}; noise around")
    console.print(f"  recorded  {len(downlink.pieces):,} UDP datagrams, {seconds:.1f} s, octets cut anywhere")
    if keep:
        console.print(f"  in        {files.recording}, profile {files.profile.name}", soft_wrap=True)
        console.print("Replay it yourself:", style="bold")
        console.print(f"  {files.replay_line}", style="cyan", soft_wrap=True)
    console.print("\nWhat `ccsds replay` makes of it", style="bold")


def _explain(console: Console, downlink: DemoDownlink, observer: Observer, checks: list[Check]) -> None:
    console.print("\nWhat happened over time", style="bold")
    _draw(console, downlink, observer)
    console.print("\nThree of the packets", style="bold")
    _print_packets(console, observer, downlink.pieces[0][0])
    console.print("\nAgainst the transmitter's books", style="bold")
    _print_comparison(console, checks)
    truth = downlink.stream.truth.virtual_channels.values()
    if all(check.agrees for check in checks):
        packets = sum(account.packets for account in truth)
        sentence = f"\nRecovered {packets:,} of {packets:,} packets that can be recovered, bit for bit."
        console.print(sentence, style="bold green")


def _draw(console: Console, downlink: DemoDownlink, observer: Observer) -> None:
    import numpy as np

    from ccsds.cli.plot import Bars, Marks, draw
    from ccsds.link.frame_batch import QUALITY

    positions = observer.column("bit_position").astype(np.int64)
    corrected = observer.column("corrected_symbols").astype(np.int64)
    lost = observer.column("lost_frames_before").astype(np.int64)
    inverted = observer.column("quality") & QUALITY["inverted"] != 0
    period = 8 * downlink.parameters.channel_access_data_unit_octets
    late = np.diff(positions, prepend=positions[:1] - period) - period
    slips = (late != 0) & (np.abs(late) <= 2)
    between = np.maximum(late, 0) * (np.abs(late) > 2)
    cut = late < -2
    past = corrected < 0
    times_s = (observer.column("reception_time_ns") - downlink.pieces[0][0]) / 1e9
    rows = (
        Marks(label="past correction", where=past, mark="x", ascii_mark="x", told=f"{int(past.sum()):,} frames"),
        Marks(label="lost", where=lost > 0, mark="x", ascii_mark="x", told=f"{int(lost.sum()):,} frames"),
        Marks(label="bit slip", where=slips, mark="|", ascii_mark="|", style="yellow", told=f"{int(slips.sum())}"),
        Marks(label="marker too early", where=cut, mark="|", ascii_mark="|", style="yellow", told=f"{int(cut.sum())}"),
        Marks(
            label="outside of frames",
            where=between > 0,
            mark="░",
            ascii_mark="%",
            style="yellow",
            told=f"{int(between.sum()):,} bits",
        ),
        Marks(
            label="inverted",
            where=inverted,
            mark="▀",
            ascii_mark="=",
            style="cyan",
            told=f"{int(inverted.sum()):,} frames",
        ),
    )
    draw(console, times_s, Bars(label="corrected", values=np.maximum(corrected, 0)), rows)


def _print_packets(console: Console, observer: Observer, start_ns: int) -> None:
    """Fields down, packets across."""
    from ccsds.cli.report import make_table, print_table
    from ccsds.interop.dissection import dissect

    table = make_table("field", *observer.shown)
    rows: dict[str, list[str]] = {}
    for octets, origin in observer.shown.values():
        for field in dissect(octets, "space-packet").fields:
            if field.value is not None:
                rows.setdefault(field.name, []).append(str(field.value))
        rows.setdefault("time stamp (CUC)", []).append(_time_of(octets))
        rows.setdefault("data after it", []).append(octets[13:17].hex(" ") + " ...")
        rows.setdefault("received after", []).append(f"{(origin['reception_time_ns'] - start_ns) / 1e9:.3f} s")
        rows.setdefault("on virtual channel", []).append(str(origin["virtual_channel_id"]))
        for name in ("frame_index", "corrected_symbols", "lost_frames_before"):
            rows.setdefault(name, []).append(str(origin[name]))
    for name, cells in rows.items():
        table.add_row(name, *cells)
    print_table(console, table)


def _time_of(octets: bytes) -> str:
    """The time stamp in the secondary header: seconds and binary fractions since 1958 (301.0-B-4)."""
    from datetime import UTC, datetime, timedelta

    ticks = int.from_bytes(octets[6:13], "big")
    epoch = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=CUC_EPOCH_NS // 10**9)
    moment = epoch + timedelta(seconds=ticks >> 24, microseconds=(ticks & 0xFFFFFF) * 10**6 >> 24)
    return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03}"


def _print_comparison(console: Console, checks: list[Check]) -> None:
    from rich.text import Text

    from ccsds.cli.report import make_table, print_table

    table = make_table("line", "transmitter", "receiver", "")
    for check in checks:
        if check.agrees and check.truth == 0:  # said in the JSON; here it is noise
            continue
        where = "" if check.virtual_channel_id is None else f"VC {check.virtual_channel_id}: "
        verdict = Text("ok", style="green") if check.agrees else Text("WRONG", style="bold red")
        table.add_row(f"{where}{check.what}", _cell(check.truth), _cell(check.received), verdict)
    print_table(console, table)
    console.print("APID: packets, octets, gaps of the sequence count, packets missing in them", style="dim")


def _cell(value: int | str) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value[:12]}..." if len(value) == 64 else value
