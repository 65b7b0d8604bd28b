"""`netmap-io run`: a netmap program on the simulated kernel side, without the module."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from ccsds.cli import style
from ccsds.cli.problems import UsageProblem
from netmap_io.cli.port_name import open_for
from netmap_io.errors import PortError

if TYPE_CHECKING:
    from netmap_io.port import Port
    from netmap_io.simulation import NetmapSimulation, Pump

__all__ = ["command"]


class Pair(click.ParamType[tuple[str, str]]):
    """NAME=SOMETHING."""

    name = "pair"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        name, equals, rest = str(value).partition("=")
        if not (name and equals and rest):
            self.fail(f"{value!r} is not NAME=..., as eth0=packet:veth0", param, ctx)
        return name, rest


@click.command(
    cls=style.Command,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    examples=[
        (
            "netmap-io run --port eth0=packet:veth0 -- pkt-gen -i netmap:eth0 -f rx",
            "an interface fed by a port of ours",
        ),
        ("netmap-io run --region lab -- pkt-gen -i vale0:a -f tx", "one of several programs on one switch"),
        ("netmap-io run --cable eth0=eth1 -- bridge -i netmap:eth0 -i netmap:eth1", "two interfaces on one cable"),
    ],
    exit_codes=(0, 1, 2, 3, 130),
)
@style.argument(
    "program",
    nargs=-1,
    required=True,
    type=click.UNPROCESSED,
    group="Program",
    metavar="-- COMMAND",
    help="the program and its arguments, as they would be with the module",
)
@style.option(
    "--port",
    "ports",
    group="Interfaces",
    type=Pair(),
    multiple=True,
    metavar="NAME=PORT",
    help="an interface NAME whose cable leads to a port of ours",
)
@style.option(
    "--host",
    "hosts",
    group="Interfaces",
    type=Pair(),
    multiple=True,
    metavar="NAME=PORT",
    help="a port of ours as the host stack behind NAME's host rings",
)
@style.option(
    "--cable",
    "cables",
    group="Interfaces",
    type=Pair(),
    multiple=True,
    metavar="NAME=NAME",
    help="two interfaces on one cable, as a veth pair",
)
@style.option("--rings", group="Interfaces", type=click.IntRange(1, 16), default=1, help="ring pairs of each [1]")
@style.option(
    "--region",
    group="Simulation",
    metavar="NAME",
    help="share the simulation with all that name the same region; without it the program has its own",
)
def command(
    program: tuple[str, ...],
    ports: tuple[tuple[str, str], ...],
    hosts: tuple[tuple[str, str], ...],
    cables: tuple[tuple[str, str], ...],
    rings: int,
    region: str | None,
) -> int:
    """Run a program that opens /dev/netmap on a simulated kernel side, without the module and without privileges.

    VALE switches, pipes, host rings and interfaces work; programs with the same --region share them.  A library loaded
    before the program answers for the system: it cannot reach programs that are statically linked, set-user-id, that
    make system calls without the C library, or that wait for netmap with epoll.  The exit code is the program's.
    """
    from netmap_io import simulation as simulated

    if region is not None and not simulated.is_region_name(region):
        raise UsageProblem(f"--region: {region!r} is no name of one: letters, digits, dots and dashes")
    library = simulated.preload_library()
    with (
        simulated.shared_region(region) as (simulation, path),
        _interfaces(simulation, ports, hosts, cables, rings) as pumps,
    ):
        code = _run(program, path, str(library))
    for pump in pumps:
        if pump.problem is not None:
            raise pump.problem
        if pump.dropped:
            click.echo(f"netmap-io run: {pump.dropped:,} frames were on their way when it ended", err=True)
    return code


def _run(program: tuple[str, ...], region: str, library: str) -> int:
    """The program, with what it needs to find the simulation; its exit code, or 128 and its signal."""
    already = os.environ.get("LD_PRELOAD")
    environment = {
        **os.environ,
        "NETMAP_IO_REGION": region,
        "LD_PRELOAD": f"{library}:{already}" if already else library,
    }
    try:
        process = subprocess.Popen(program, env=environment)
    except (FileNotFoundError, PermissionError) as error:
        raise UsageProblem(f"{program[0]} cannot be run: {error.strerror}") from None
    passed: Any = {}
    with contextlib.suppress(ValueError):  # not in the main thread: signals are somebody else's
        passed[signal.SIGTERM] = signal.signal(signal.SIGTERM, lambda number, _: process.send_signal(number))
    try:
        while True:
            try:
                code = process.wait()
                break
            except KeyboardInterrupt:
                continue  # the terminal has told the program as well; it decides when to end
    finally:
        for number, before in passed.items():
            signal.signal(number, before)
    return code if code >= 0 else 128 - code


@contextlib.contextmanager
def _interfaces(
    simulation: NetmapSimulation,
    ports: tuple[tuple[str, str], ...],
    hosts: tuple[tuple[str, str], ...],
    cables: tuple[tuple[str, str], ...],
    rings: int,
) -> Iterator[list[Pump]]:
    """The interfaces asked for, with the pumps that feed them; gone again at the end."""
    from netmap_io.simulation import Pump

    made: list[str] = []
    pumps: list[Pump] = []
    with contextlib.ExitStack() as stack:
        stack.callback(_remove, simulation, made)
        names = [name for name, _ in ports] + [name for name, _ in hosts] + [name for pair in cables for name in pair]
        for name in dict.fromkeys(names):
            _add(simulation, name, rings)
            made.append(name)
        for near, far in cables:
            simulation.connect(near, far)
        for behind, host in ((ports, False), (hosts, True)):
            for name, address in behind:
                port = _opened(address)
                stack.callback(port.close)
                pump = Pump(simulation, name, port, host=host)
                stack.callback(pump.close)
                pumps.append(pump)
        yield pumps


def _remove(simulation: NetmapSimulation, names: list[str]) -> None:
    for name in names:
        simulation.vanish(name)


def _add(simulation: NetmapSimulation, name: str, rings: int) -> None:
    try:
        simulation.add_interface(name, rings=rings)
    except OSError as error:
        if error.errno == errno.EEXIST:
            raise UsageProblem(f"there is an interface {name} in this region already") from None
        raise UsageProblem(f"{name!r} cannot be the name of an interface") from None


def _opened(address: str) -> Port:
    from netmap_io.port import LinkType, require_link_type

    port = open_for(address)
    try:
        require_link_type(port, LinkType.ETHERNET)
    except PortError:
        port.close()
        raise
    return port
