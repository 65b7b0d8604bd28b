"""`ccsds encode`: the octets of a unit from its fields, the mirror of `ccsds dissect`."""

from __future__ import annotations

import difflib
import json
import sys
from enum import IntEnum
from pathlib import Path
from typing import Any, get_type_hints

import click
from click.shell_completion import CompletionItem

from ccsds.cli import style
from ccsds.cli.dissect import UnitName, octets_of, octets_of_text
from ccsds.cli.problems import InputProblem

__all__ = ["command", "encode_unit"]

EXAMPLES = (
    ("ccsds encode space-packet application_process_id=42 packet_data_field=6869", "a packet, as hex"),
    ("ccsds encode clcw virtual_channel_id=2 report_value=9 | ccsds dissect - --unit clcw", "there and back"),
    (
        "ccsds dissect 0801c0000001cafe --json | ccsds encode space-packet --json - packet_sequence_count=7",
        "the same packet with another count",
    ),
)


class _FieldArgument(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.5 only
    """One field=value; the shell completes the names of the unit's fields."""

    name = "field=value"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from ccsds.interop.dissection import UNITS

        kind = UNITS.get(str(ctx.params.get("unit")))
        if kind is None or "=" in incomplete:
            return []
        return [CompletionItem(f"{name}=") for name in kind.cls.__struct_fields__ if name.startswith(incomplete)]


@click.command(cls=style.Command, examples=EXAMPLES)
@style.argument("unit", type=UnitName(), metavar="UNIT", group="Input", help="name of the unit, completed by the shell")
@style.argument(
    "fields",
    nargs=-1,
    type=_FieldArgument(),
    metavar="[FIELD=VALUE]...",
    group="Input",
    help="fields that are not left at their defaults",
)
@style.option("--json", "source", metavar="FILE|-", group="Input", help="begin with what `ccsds dissect --json` wrote")
@style.option("--binary", is_flag=True, group="Output", help="raw octets, not hexadecimal")
def command(unit: str, fields: tuple[str, ...], source: str | None, binary: bool) -> None:
    """Print the octets of a unit, given its fields by name.

    Values are numbers (42, 0x2a, 0b101010), names (packet_type=telecommand), yes or no, octets as hex, none where a
    field is absent, and - or @FILE for octets read from standard input or a file.
    """
    from ccsds.interop.dissection import unit_kind

    kind = unit_kind(unit)
    values = _from_json(source, kind.name) if source is not None else {}
    given = [_split(argument) for argument in fields]
    if sum(value == "-" for _, value in given) + (source == "-") > 1:
        raise click.UsageError("standard input can be read once only")
    octets = encode_unit(kind.cls, values | dict(given))
    if binary:
        sys.stdout.buffer.write(octets)
        sys.stdout.buffer.flush()
    else:
        click.echo(octets.hex())


def encode_unit(cls: type[Any], words: dict[str, Any]) -> bytes:
    """The octets of a unit whose fields are given as words of a command line, or as JSON has them."""
    hints = get_type_hints(cls)
    values = {name: _value(cls, name, word, hints) for name, word in words.items()}
    missing = [
        name
        for name in cls.__struct_fields__[: len(cls.__struct_fields__) - len(cls.__struct_defaults__)]
        if name not in values
    ]
    if missing:
        raise click.UsageError(f"{cls.__name__} needs {', '.join(f'{name}=' for name in missing)} as well")
    try:
        unit = cls(**values)
        octets: bytes = unit.encode()
    except ValueError as error:  # EncodeError says which field, and the clause
        raise click.UsageError(str(error)) from None
    return octets


def _split(argument: str) -> tuple[str, str]:
    name, equals, value = argument.partition("=")
    if not equals:
        raise click.UsageError(f"{argument!r} is not field=value")
    return name.replace("-", "_"), value


def _from_json(source: str, unit: str) -> dict[str, Any]:
    shown = "standard input" if source == "-" else source
    try:
        content = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        found = json.loads(content)
    except OSError as error:
        raise InputProblem(f"{source}: {(error.strerror or str(error)).lower()}") from None
    except (ValueError, RecursionError):  # the second: nested too deep
        raise InputProblem(f"{shown} does not hold JSON of `ccsds dissect --json`") from None
    if not isinstance(found, dict) or found.get("format") != "ccsds-dissect/1":
        raise InputProblem(f"{shown} does not hold JSON of `ccsds dissect --json`")
    if found.get("unit") != unit:
        raise InputProblem(f"{shown} holds a {found.get('unit')}, not a {unit}")
    if not isinstance(found.get("values"), dict):
        raise InputProblem(f"{source} holds octets that are no whole {unit}")
    return dict(found["values"])


def _value(cls: type[Any], name: str, word: Any, hints: dict[str, Any]) -> Any:
    """A word of the command line as the type that the field has."""
    if name not in cls.__struct_fields__:
        long = cls.ALIASES.get(name)
        near = [long] if long else difflib.get_close_matches(name, cls.__struct_fields__, n=3, cutoff=0.4)
        raise click.UsageError(
            f"{cls.__name__} has no field {name!r}; nearest: {', '.join(near or cls.__struct_fields__)}"
        )
    kinds = getattr(hints[name], "__args__", (hints[name],))
    if not isinstance(word, str):
        return word
    if word.lower() == "none" and type(None) in kinds:
        return None
    if bytes in kinds:
        return _octets(name, word)
    if bool in kinds and word.lower() in _WORDS_FOR_BITS:
        return _WORDS_FOR_BITS[word.lower()]
    return _number(name, word, kinds)


_WORDS_FOR_BITS = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


def _number(name: str, word: str, kinds: tuple[Any, ...]) -> int:
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, IntEnum) and word.upper() in kind.__members__:
            return kind[word.upper()]
    if bool not in kinds:
        try:
            return int(word, 0)
        except ValueError:
            if word.lower() in _WORDS_FOR_BITS and name.endswith("flag"):
                return int(_WORDS_FOR_BITS[word.lower()])
    names = [
        member.lower()
        for kind in kinds
        if isinstance(kind, type) and issubclass(kind, IntEnum)
        for member in kind.__members__
    ]
    expected = "yes or no" if bool in kinds else " or ".join(["a number", *names])
    raise click.UsageError(f"{name}={word}: {expected} expected")


def _octets(name: str, word: str) -> bytes:
    if word == "-":
        return octets_of(("-",), "auto")
    if word.startswith("@"):
        if not Path(word[1:]).exists():
            raise InputProblem(f"{name}={word}: no such file")
        return octets_of((word[1:],), "auto")
    octets = octets_of_text(word.encode())
    if octets is None:
        raise click.UsageError(f"{name}={word}: hex octets expected, two digits each")
    return octets
