"""A mission on the command line: the slug of a profile, completed by the shell, or a TOML file."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

__all__ = ["MissionName"]


class MissionName(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.5 only
    """Completes slugs, and files besides; that the profile holds is found out when it is loaded."""

    name = "mission"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The slugs that begin so; where none does, files."""
        from ccsds.link.missions import mission_names

        slugs = [CompletionItem(name) for name in mission_names() if name.startswith(incomplete)]
        return slugs or [CompletionItem(incomplete, type="file")]
