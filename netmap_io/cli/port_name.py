"""A port's address as an argument: completed by the shell, opened with the direction that is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from ccsds.cli.problems import UsageProblem

if TYPE_CHECKING:
    from netmap_io.port import Port

__all__ = ["PortName", "open_for"]


class PortName(click.ParamType[str]):
    """driver:target?option=value&..., wrappers before it."""

    name = "port"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from netmap_io.port import driver_names
        from netmap_io.wrappers.address import WRAPPERS

        wrappers, plus, begun = incomplete.rpartition("+")
        if ":" in incomplete:
            driver, _, path = begun.partition(":")
            return [CompletionItem(path, type="file")] if driver == "pcap" and "?" not in path else []
        offers = [f"{driver}:" for driver in driver_names()] + [f"{wrapper}+" for wrapper in WRAPPERS]
        return [CompletionItem(f"{wrappers}{plus}{offer}") for offer in offers if offer.startswith(begun)]


def open_for(address: str, *, receives: bool = False, sends: bool = False) -> Port:
    """Open a port.  Raises UsageProblem where it cannot do what it is wanted for; PortError."""
    from netmap_io.port import open_port

    port = open_port(address)
    missing = "gives no frames" if receives and not port.capabilities.receives else ""
    missing = "takes no frames" if sends and not port.capabilities.sends else missing
    if missing:
        port.close()
        hint = "; a capture is written with ?mode=write" if sends and "pcap:" in address else ""
        raise UsageProblem(f"{address} {missing}{hint}")
    return port
