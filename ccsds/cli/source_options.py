"""Options that `replay` and `convert` share: which octets of an input, and which mission they belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ccsds.cli import style
from ccsds.cli.inputs import CONTAINERS, PROTOCOLS
from ccsds.cli.mission_name import MissionName
from ccsds.cli.problems import UsageProblem
from ccsds.cli.style import Decorated

if TYPE_CHECKING:
    from ccsds.link.managed_parameters import Mission

__all__ = ["find_profile", "input_options", "load_profile", "mission_options"]

CONTENTS = ("auto", "cadus", "frames", "packets")

_INPUT = (
    style.option(
        "--container", group="Input", type=click.Choice(CONTAINERS), default="auto", help="how the octets are kept"
    ),
    style.option(
        "--protocol", group="Input", type=click.Choice(PROTOCOLS), default="auto", help="of a capture: payload of"
    ),
    style.option("--port", group="Input", type=click.IntRange(0, 65535), help="of a capture: UDP or TCP port"),
    style.option("--offset", group="Input", type=click.IntRange(0), default=0, help="octets to skip in each payload"),
    style.option("--length", group="Input", type=click.IntRange(1), help="octets to take of each payload"),
)
_MISSION = (
    style.option(
        "--mission", group="Mission", type=MissionName(), metavar="SLUG|FILE.toml", help="see: ccsds profiles"
    ),
    style.option(
        "--content",
        group="Mission",
        type=click.Choice(CONTENTS),
        default="auto",
        help="what it holds, if not as the profile says",
    ),
)


def input_options(function: Decorated) -> Decorated:
    """--container, and --protocol, --port, --offset and --length of captures."""
    for option in reversed(_INPUT):
        function = option(function)
    return function


def mission_options(function: Decorated) -> Decorated:
    """--mission and --content."""
    for option in reversed(_MISSION):
        function = option(function)
    return function


def load_profile(mission: str) -> Mission:
    """`load_mission`, where a profile that cannot be read is wrong use.  Raises UsageProblem, ConfigurationError."""
    from ccsds.link.missions import load_mission

    try:
        return load_mission(mission)
    except OSError as error:
        raise UsageProblem(f"{mission}: {(error.strerror or str(error)).lower()}") from None


def find_profile(mission: str | None, content: str) -> Mission:
    """The mission, its physical channel as the content that was told.  Raises UsageProblem, ConfigurationError."""
    import msgspec

    from ccsds.link.managed_parameters import Mission
    from ccsds.link.missions import mission_names

    if mission is None and content == "packets":
        return Mission(name="packets")
    if mission is None:
        known = ", ".join(mission_names())
        raise UsageProblem(f"--mission is needed: a TOML file, or one of {known}; or --content packets")
    profile = load_profile(mission)
    channel = profile.physical_channel
    if content == "auto":
        return profile
    if content == "packets":
        return msgspec.structs.replace(profile, physical_channel=None)
    if channel is None:
        raise UsageProblem(f"--content {content}: the profile {mission} knows packets only")
    if content == "cadus" and channel.synchronization is None:
        raise UsageProblem(f"--content cadus: the profile {mission} has no [physical_channel.synchronization]")
    uncoded = channel.uncoded() if content == "frames" else channel
    return msgspec.structs.replace(profile, physical_channel=uncoded)
