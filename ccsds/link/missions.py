"""Mission profiles: managed parameters of real missions, shipped as TOML in `ccsds/missions`."""

from __future__ import annotations

from difflib import get_close_matches
from importlib.resources import as_file, files
from pathlib import Path

from ccsds.errors import ConfigurationError
from ccsds.link.managed_parameters import Mission, mission_from_toml

__all__ = ["load_mission", "mission_names"]


def mission_names() -> list[str]:
    """Names of the profiles shipped with the package."""
    folder = files("ccsds").joinpath("missions")
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_mission(mission: str | Path | Mission) -> Mission:
    """A profile by its name, or from a TOML file of one's own.

    Raises: ConfigurationError: an unknown name (the nearest ones are told) or a file that is no profile.
            OSError: the file cannot be read.
    """
    if isinstance(mission, Mission):
        return mission
    if isinstance(mission, Path) or mission.endswith(".toml") or "/" in mission:
        return mission_from_toml(mission)
    names = mission_names()
    if mission not in names:
        near = get_close_matches(mission.lower(), names, 3, 0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names)}"
        raise ConfigurationError(f"no mission profile {mission!r}: {hint}")
    with as_file(files("ccsds").joinpath("missions", f"{mission}.toml")) as path:
        return mission_from_toml(path)
