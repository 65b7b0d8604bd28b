"""The `ccsds` command: a menu whose dishes are cooked when ordered, so that `ccsds --help` stays fast."""

from __future__ import annotations

import importlib
import importlib.util

import click

import ccsds
from ccsds.cli.style import Group

__all__ = ["cli", "run"]

MENU = {
    "replay": "packets of a recording, and an exact account of what was lost",
    "dissect": "any unit field by field, with bits, offsets and clause",
    "encode": "the octets of a unit, from its fields: the mirror of dissect",
    "demo": "a noisy downlink made, recorded, replayed and explained",
    "command": "packets and frames sent as CLTUs, COP-1 closed, each command traced",
    "spacecraft": "a small spacecraft to command, over UDP or any other port",
    "profiles": "the missions that are known, and what they do to the standard",
    "convert": "frame file, CADU file and pcapng, from one to another",
    "completion": "completion of commands and options for your shell",
}


class LazyGroup(Group):
    """Commands are `command` in `ccsds.cli.<name>`; the module loads when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in MENU if importlib.util.find_spec(f"ccsds.cli.{name}")]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        found = importlib.import_module(f"ccsds.cli.{cmd_name}").command
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, MENU[name]) for name in self.list_commands(ctx)])


@click.command(
    cls=LazyGroup,
    invoke_without_command=True,
    examples=[
        ("ccsds demo", "see it at work"),
        ("ccsds replay pass.cadu --mission snpp", "packets and losses of a pass"),
        ("ccsds dissect 0801c0000001cafe", "a packet field by field"),
    ],
    exit_codes=(0, 1, 2, 3, 4, 130),
)
@click.version_option(ccsds.__version__, "--version", message="ccsds-link %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """CCSDS space links on the command line: from octets on a wire to packets, and back."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def run() -> None:
    """The entry point that `ccsds` is installed as."""
    cli.main(prog_name="ccsds")
