"""`netmap-io completion`: the script that teaches a shell our commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from ccsds.cli.style import Command, argument

__all__ = ["command"]

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_NETMAP_IO_COMPLETE"  # the one that click reads for a program called netmap-io


@click.command(
    cls=Command,
    examples=[
        ('eval "$(netmap-io completion bash)"', "in ~/.bashrc"),
        ('eval "$(netmap-io completion zsh)"', "in ~/.zshrc"),
        ("netmap-io completion fish > ~/.config/fish/completions/netmap-io.fish", "once"),
    ],
    exit_codes=(0, 1, 2),
)
@argument("shell", type=click.Choice(SHELLS), help="the shell to print the script for")
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the script that completes commands and options in your shell."""
    kind = get_completion_class(shell)
    assert kind is not None  # click knows all three
    click.echo(kind(context.find_root().command, {}, "netmap-io", VARIABLE).source())
