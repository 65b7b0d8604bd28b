"""The `netmap-io` command: a menu whose dishes are cooked when ordered, so that `netmap-io --help` stays fast."""

from __future__ import annotations

import importlib
import importlib.util

import click

from ccsds.cli.style import Group

__all__ = ["cli", "run"]

MENU = {
    "doctor": "what this machine offers for frames, and what to do about the rest",
    "ports": "drivers, wrappers and their options; interfaces",
    "pump": "frames from one port to another, one way or both",
    "run": "a netmap program on the simulated kernel side, without the module",
    "gen": "numbered, checkable frames out of a port",
    "sink": "frames into nothing, counted; gen's are verified",
    "completion": "completion of commands and options for your shell",
}


class LazyGroup(Group):
    """Commands are `command` in `netmap_io.cli.<name>`; the module loads when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in MENU if importlib.util.find_spec(f"netmap_io.cli.{name}")]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        found = importlib.import_module(f"netmap_io.cli.{cmd_name}").command
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, MENU[name]) for name in self.list_commands(ctx)])


@click.command(
    cls=LazyGroup,
    invoke_without_command=True,
    examples=[
        ("netmap-io doctor", "what this machine offers"),
        ("netmap-io gen pcap:numbered.pcapng?mode=write --count 1000", "frames to test with"),
        ("netmap-io pump pcap:pass.pcapng?pace=original udp:192.0.2.1:5000?mode=connect", "a recording into a network"),
    ],
    exit_codes=(0, 1, 2, 3, 4, 130),
)
@click.version_option(package_name="ccsds-link", message="ccsds-link %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """The link layer on the command line: frames in, frames out, and what the machine makes of them.

    A port is written driver:target?option=value, with wrappers before it: fault+trace+driver:target?loss=0.01.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def run() -> None:
    """The entry point that `netmap-io` is installed as."""
    cli.main(prog_name="netmap-io")
