"""`ccsds command`: packets and frames sent as CLTUs, COP-1 closed over the downlink, and a trace of each command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ccsds.cli import style
from ccsds.cli.link_ports import DOWNLINK_PORT, UPLINK_PORT
from ccsds.cli.mission_name import MissionName
from ccsds.cli.problems import INTERRUPTED, UNACKNOWLEDGED, Problem, UsageProblem

if TYPE_CHECKING:
    from ccsds.cli.command_inputs import Unit
    from ccsds.link.commanding import CommandSession

__all__ = ["command"]


class NotAcknowledged(Problem):
    """Commands went out and not all of them came to a good end."""

    exit_code = UNACKNOWLEDGED


def _complete_directive(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    from ccsds.cli.command_inputs import DIRECTIVES

    return [name for name in DIRECTIVES if name.startswith(incomplete)]


@click.command(
    cls=style.Command,
    examples=[
        ('ccsds command --text "switch on"', "to `ccsds spacecraft` in another terminal"),
        ("ccsds command plan.packets --trace plan.jsonl", "the packets of a file, the trace kept"),
        ("ccsds command --hex 0102 --mode bd", "expedited: nobody acknowledges"),
        ("ccsds command --directive unlock", "a directive to FOP-1 and no command"),
        ("ccsds command plan.packets --to plan.cltus --mode bd", "CLTUs into a file"),
        ("ccsds command --show plan.jsonl", "a trace that was kept"),
    ],
    exit_codes=(0, 1, 2, 3, 5, 130),
)
@style.argument("inputs", nargs=-1, metavar="[INPUT]...", help="files of packets back to back, - for standard input")
@style.option("--text", "texts", group="Input", multiple=True, help="a packet around this text")
@style.option("--hex", "hexes", group="Input", multiple=True, help="a packet around these octets")
@style.option(
    "--apid", group="Input", type=click.IntRange(0, 2046), default=100, show_default=True, help="of --text and --hex"
)
@style.option("--frames", "frames", group="Input", multiple=True, metavar="FILE", help="TC frames, sent as they are")
@style.option(
    "--directive",
    "directives",
    group="COP-1",
    multiple=True,
    metavar="NAME",
    shell_complete=_complete_directive,
    help="initiate-ad, unlock, set-vr=N ...",
)
@style.option(
    "--mode", group="COP-1", type=click.Choice(["ad", "bd"]), help="sequence-controlled or expedited [ad with a COP]"
)
@style.option("--virtual-channel", group="Channel", type=click.IntRange(0, 63), help="[the first of the profile]")
@style.option("--map", "map_id", group="Channel", type=click.IntRange(0, 63), help="[the first of the channel, or 0]")
@style.option("--to", group="Link", default=UPLINK_PORT, show_default=True, metavar="PORT|FILE", help="where CLTUs go")
@style.option("--from", "from_", group="Link", metavar="PORT", help=f"where frames come from [{DOWNLINK_PORT}]")
@style.option(
    "--mission",
    "--uplink",
    group="Link",
    type=MissionName(),
    default="demo-uplink",
    show_default=True,
    help="its profile",
)
@style.option(
    "--downlink", group="Link", type=MissionName(), default="demo-downlink", show_default=True, help="its profile"
)
@style.option("--spacecraft-id", group="Link", type=click.IntRange(0), help="where the profile lists several")
@style.option(
    "--timeout",
    group="Output",
    type=click.FloatRange(0),
    default=30.0,
    show_default=True,
    help="seconds, then it gives up",
)
@style.option("--watch", group="Output", is_flag=True, help="go on watching until the timeout or Ctrl-C")
@style.option("--trace", group="Output", metavar="FILE.jsonl", help="keep the trace, an event a line")
@style.option("--packets", group="Output", metavar="FILE", help="keep the packets that come down")
@style.option("--json", "as_json", group="Output", is_flag=True, help="the trace on standard output, and a summary")
@style.option("--show", group="Output", metavar="FILE.jsonl", help="show a trace that was kept; nothing is sent")
def command(
    inputs: tuple[str, ...],
    texts: tuple[str, ...],
    hexes: tuple[str, ...],
    apid: int,
    frames: tuple[str, ...],
    directives: tuple[str, ...],
    mode: str | None,
    virtual_channel: int | None,
    map_id: int | None,
    to: str,
    from_: str | None,
    mission: str,
    downlink: str,
    spacecraft_id: int | None,
    timeout: float,
    watch: bool,
    trace: str | None,
    packets: str | None,
    as_json: bool,
    show: str | None,
) -> int:
    """Send packets and frames as CLTUs, close COP-1 over the downlink, and tell what becomes of each command.

    AD service begins with the first CLCW: V(S) is set to its N(R), and FARM-1 is unlocked where it must be; a
    --directive that initiates the service takes the place of this.  All commands acknowledged by FARM-1 (or, in mode
    bd, radiated): exit code 0.  With no option at all it talks to `ccsds spacecraft` on the same machine.
    """
    from ccsds.cli import command_inputs, command_run
    from ccsds.cli.source_options import load_profile
    from ccsds.link.commanding import CommandSession

    if show is not None:
        command_run.show(show)
        return 0
    asked = [command_inputs.parse_directive(word) for word in directives]
    if not (inputs or texts or hexes or frames or asked or watch):
        raise click.UsageError("nothing to send: name a file, or --text, --hex, --frames, --directive; or --watch")
    place = command_run.Place(to, from_)
    session = CommandSession(
        load_profile(mission), load_profile(downlink) if place.has_downlink else None, spacecraft_id=spacecraft_id
    )
    channel = _Channel(session, virtual_channel, map_id, mode, place.has_downlink)
    units = command_inputs.packets_of_files(inputs) + command_inputs.made_packets(texts, hexes, apid, session)
    whole = command_inputs.frames_of_files(frames, session.uplink.frame_error_control)
    begins = channel.mode == "AD" and bool(units) and not any(_initiates(word) for word in directives)

    def start(now_ns: int) -> None:
        for directive in asked:
            if isinstance(directive, str):
                unlock = directive == command_inputs.UNLOCK
                session.begin(channel.number, unlock=unlock, now_ns=now_ns)
            else:
                session.direct(channel.number, directive, now_ns=now_ns)
        if begins:
            session.begin(channel.number, now_ns=now_ns)
        for unit in whole:
            session.send_frame(unit.octets, name=unit.name, now_ns=now_ns)

    run = command_run.Run(session, place, as_json=as_json, trace=trace, packets=packets, timeout_s=timeout, watch=watch)
    interrupted = run.run(start, channel.feeder(units))
    if interrupted:
        return INTERRUPTED
    if not session.is_successful or run.unsent:
        raise NotAcknowledged(run.complaint())
    return 0


def _initiates(word: str) -> bool:
    return word.startswith(("initiate-ad", "unlock", "set-vr"))


class _Channel:
    """Which virtual channel, MAP and mode, where they are not told."""

    def __init__(
        self, session: CommandSession, number: int | None, map_id: int | None, mode: str | None, has_downlink: bool
    ) -> None:
        self._session = session
        listed = session.uplink.find(session.spacecraft_id, 0)[0].virtual_channels
        if number is None:
            number = listed[0].virtual_channel_id if listed else 0
        elif listed and number not in (known := [channel.virtual_channel_id for channel in listed]):
            raise UsageProblem(f"--virtual-channel {number}: the uplink profile lists {', '.join(map(str, known))}")
        parameters = session.uplink.find(session.spacecraft_id, number)[1]
        self.number = number
        has_maps = parameters.segment_header or session.uplink.frame_type == "USLP"
        if map_id is not None and not has_maps:
            raise UsageProblem(f"--map {map_id}: virtual channel {number} has no MAPs")
        first = parameters.maps[0].map_id if parameters.maps else 0
        self.map_id = (first if map_id is None else map_id) if has_maps else None
        controlled = parameters.cop is not None and has_downlink
        self.mode = mode.upper() if mode else "AD" if controlled else "BD"
        if self.mode == "AD" and parameters.cop is None:
            raise UsageProblem(f"--mode ad: virtual channel {number} has no COP")
        if self.mode == "AD" and not has_downlink:
            raise UsageProblem("--mode ad needs CLCWs: name the downlink by --from, or send by --mode bd")

    def feeder(self, units: list[Unit]) -> Feeder:
        """What gives the session its units as it has room."""
        return Feeder(self._session, units, self)


class Feeder:
    """Units into a session, as far as it has room for them."""

    def __init__(self, session: CommandSession, units: list[Unit], channel: _Channel) -> None:
        self._session, self._channel = session, channel
        self._waiting = units[::-1]

    @property
    def unsent(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def feed(self, now_ns: int) -> None:
        """As many as there is room for."""
        from ccsds.link.sender import QueueFullError

        while self._waiting:
            unit = self._waiting[-1]
            try:
                self._session.send(
                    unit.octets,
                    virtual_channel_id=self._channel.number,
                    map_id=self._channel.map_id,
                    mode="AD" if self._channel.mode == "AD" else "BD",
                    name=unit.name,
                    now_ns=now_ns,
                )
            except QueueFullError:
                if not self._session.sender.pending_octets:
                    raise  # it will never fit
                return
            self._waiting.pop()
