"""`netmap-io sriov`: virtual functions of a card, listed, made as a request says, and removed."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from ccsds.cli import style

if TYPE_CHECKING:
    from netmap_io.sriov import PhysicalFunctionState, Request, Step, VirtualFunctionState
    from netmap_io.sriov.errors import SriovError

__all__ = ["command"]

STYLES = {
    "planned": "",
    "done": "green",
    "skipped": "dim",
    "failed": "bold red",
    "taken back": "yellow",
    "not taken back": "bold red",
}
TRUTH = {"on": "true", "yes": "true", "off": "false", "no": "false"}


class PhysicalFunction(click.ParamType[str]):
    """An interface whose card has SR-IOV, or its PCI address."""

    name = "physical function"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from netmap_io.sriov.sysfs import Sysfs

        sysfs = Sysfs()
        offers = [name for each in sysfs.physical_functions() for name in sysfs.interfaces(each) or [each]]
        return [CompletionItem(offer) for offer in offers if offer.startswith(incomplete)]


class SettingsText(click.ParamType[str]):
    """KEY=VALUE,KEY=VALUE; completes the keys."""

    name = "settings"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from netmap_io.sriov.request import Settings

        cut = max(incomplete.rfind(","), incomplete.find(":") if "=" not in incomplete else -1) + 1
        before, begun = incomplete[:cut], incomplete[cut:]
        if "=" in begun:
            return []
        return [CompletionItem(f"{before}{name}=") for name in Settings.__struct_fields__ if name.startswith(begun)]


@click.group(
    cls=style.Group,
    examples=[
        ("netmap-io sriov list", "cards, their virtual functions and what is set for them"),
        ("netmap-io sriov apply link.toml --dry-run", "what would be done"),
        ('netmap-io sriov apply -i eth0 -n 2 --vf "0:mac=02:00:00:00:00:10"', "without a file"),
        ("netmap-io sriov delete eth0", "all virtual functions removed"),
    ],
    exit_codes=(0, 1, 2, 3, 130),
)
def command() -> None:
    """Virtual functions of a card with SR-IOV: listed, made as a request says, and removed.

    What a request changed is taken back when a step of it fails, or when it is interrupted.
    """


@command.command(
    "list",
    cls=style.Command,
    short_help="cards, virtual functions, and what is set for them",
    examples=[
        ("netmap-io sriov list", "all of this machine"),
        ("netmap-io sriov list eth0", "one card's"),
        ("netmap-io sriov list --json", "the same for a machine"),
    ],
    exit_codes=(0, 1, 2, 3),
)
@style.argument(
    "physical_function", type=PhysicalFunction(), required=False, group="Choice", metavar="[INTERFACE]",
    help="an interface or its PCI address: only that",
)  # fmt: skip
@style.option("--json", "as_json", group="Output", is_flag=True, help="as JSON, and only that")
def list_command(physical_function: str | None, as_json: bool) -> None:
    """Cards with SR-IOV, their virtual functions, and what is set for each."""
    from netmap_io.sriov.state import System, observe, observe_all

    with System() as system:
        states = observe_all(system) if physical_function is None else [observe(physical_function, system)]
    if as_json:
        _json([state.to_dict() for state in states])
    elif not states:
        click.echo("no card of this machine has SR-IOV, or its firmware hides it")
    for number, state in enumerate([] if as_json else states):
        if number:
            click.echo()
        _print_state(state)


@command.command(
    "apply",
    cls=style.Command,
    short_help="make virtual functions as a request says",
    examples=[
        ("netmap-io sriov apply link.toml", "what the file asks for"),
        ("netmap-io sriov apply link.toml --dry-run", "what would be done, and nothing done"),
        (
            'netmap-io sriov apply -i eth0 -n 2 --all trust=on --vf "0:mac=02:00:00:00:00:10,vlan=100"',
            "without a file",
        ),
        ("netmap-io sriov apply link.toml --number 4 --replace --json", "another number; the steps as JSON"),
    ],
    exit_codes=(0, 1, 2, 3, 130),
)
@style.argument(
    "request", required=False, metavar="[FILE]", group="Request", help="TOML, see docs/sriov.md; options go over it"
)
@style.option(
    "--interface", "-i", type=PhysicalFunction(), group="Request", metavar="NAME",
    help="physical function: interface or PCI address",
)  # fmt: skip
@style.option("--number", "-n", group="Request", type=click.IntRange(0), help="how many virtual functions")
@style.option(
    "--all", "everyone", group="Request", type=SettingsText(), metavar="KEY=VALUE,...", help="for each of them"
)
@style.option(
    "--vf", "single", group="Request", type=SettingsText(), multiple=True, metavar="INDEX:KEY=VALUE,...",
    help="for one of them: mac, vlan, qos, vlan_protocol, spoof_check, trust, link_state, minimum_rate_mbit_s, "
    "maximum_rate_mbit_s, queues, driver, namespace, up",
)  # fmt: skip
@style.option("--queues", group="Request", type=click.IntRange(1), help="of the physical function's interface")
@style.option(
    "--replace", group="Request", is_flag=True, help="remove virtual functions, where there is another number"
)
@style.option(
    "--carrier-timeout", "timeout_s", type=click.FloatRange(0), group="Request", help="seconds; 0: do not wait"
)
@style.option("--require-carrier", group="Request", is_flag=True, help="fail, and take back, where there is none")
@style.option("--dry-run", group="Output", is_flag=True, help="print the plan, and do nothing")
@style.option("--json", "as_json", group="Output", is_flag=True, help="the steps as JSON, and only that")
def apply_command(
    request: str | None,
    interface: str | None,
    number: int | None,
    everyone: str | None,
    single: tuple[str, ...],
    queues: int | None,
    replace: bool,
    timeout_s: float | None,
    require_carrier: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make virtual functions as a request says, each step reported; a request that is met changes nothing.

    A step that fails, or Ctrl-C, has everything taken back that was done before it, in reverse.
    """
    from netmap_io.sriov import apply, plan

    options = {
        "physical_function": interface,
        "number": number,
        "queues": queues,
        "replace": replace or None,
        "carrier_timeout_s": timeout_s,
        "require_carrier": require_carrier or None,
    }
    wanted = _request(request, {key: value for key, value in options.items() if value is not None}, everyone, single)
    if dry_run:
        _print_plan(wanted, plan(wanted), as_json)
        return
    _carry_out(wanted.physical_function, as_json, lambda report: apply(wanted, report=report))


@command.command(
    "delete",
    cls=style.Command,
    short_help="remove a card's virtual functions",
    examples=[
        ("netmap-io sriov delete eth0", "all its virtual functions"),
        ("netmap-io sriov delete 0000:01:00.0", "by PCI address"),
        ("netmap-io sriov delete eth0 --json", "the steps as JSON"),
    ],
    exit_codes=(0, 1, 2, 3, 130),
)
@style.argument(
    "physical_function", type=PhysicalFunction(), metavar="INTERFACE", help="an interface, or its PCI address"
)
@style.option("--json", "as_json", group="Output", is_flag=True, help="the steps as JSON, and only that")
def delete_command(physical_function: str, as_json: bool) -> None:
    """Remove all virtual functions of a card, from whoever uses them.

    A program with a netmap port on one of them keeps this waiting until it closes the port.
    """
    from netmap_io.sriov import delete

    _carry_out(physical_function, as_json, lambda report: delete(physical_function, report=report))


def _request(path: str | None, options: dict[str, Any], everyone: str | None, single: Sequence[str]) -> Request:
    """File and options as one request.  Raises SriovRequestError, OSError."""
    from netmap_io.sriov.request import read_toml, request_from_dict

    content: dict[str, Any] = dict(read_toml(path)) if path is not None else {}
    content.update(options)
    for key, option in (("physical_function", "--interface"), ("number", "--number")):
        if key not in content:
            what = f"{key} in {path}, or {option}" if path else f"a file, or {option}"
            raise click.UsageError(f"the request needs {what}", click.get_current_context())
    if everyone is not None:
        content["defaults"] = _over(content.get("defaults", {}), _pairs("--all", everyone))
    for text in single:
        index, colon, pairs = text.partition(":")
        if not colon or not index.isdecimal():
            raise click.UsageError(f"--vf {text}: must be INDEX:KEY=VALUE,...", click.get_current_context())
        content["virtual_function"] = _with(content.get("virtual_function", []), int(index), _pairs("--vf", pairs))
    return request_from_dict(content, strict=not (single or everyone), source=path)


def _over(present: object, own: dict[str, str]) -> object:
    """Options over what a file says; what is of the wrong kind there is refused later, with its key."""
    return {**present, **own} if isinstance(present, dict) else present


def _with(present: object, index: int, own: dict[str, str]) -> object:
    """A file's virtual functions with options for one of them, in the order of their numbers."""
    if not isinstance(present, list) or not all(isinstance(each, dict) for each in present):
        return present
    rows = [{**each, **own} if each.get("index") == index else each for each in present]
    if not any(each.get("index") == index for each in present):
        rows.append({"index": index, **own})
    return sorted(rows, key=lambda each: each["index"] if isinstance(each.get("index"), int) else -1)


def _pairs(option: str, text: str) -> dict[str, str]:
    found = {}
    for pair in text.split(","):
        key, equals, value = pair.partition("=")
        if not equals:
            raise click.UsageError(f"{option}: '{pair}' is no KEY=VALUE", click.get_current_context())
        found[key.strip()] = TRUTH.get(value.strip().lower(), value.strip())
    return found


def _carry_out(name: str, as_json: bool, run: Any) -> None:
    """Run it with its steps shown as they come; as JSON, one document at the end, failed or not."""
    from netmap_io.sriov.errors import SriovError

    console = None if as_json else style.console()
    try:
        result = run((lambda step: None) if console is None else lambda step: _print_step(console, step))
    except SriovError as error:
        if as_json:
            _json(_failed(name, error))
        raise
    if as_json:
        document = {"physical_function": name, "changed": result.changed, "seconds": round(result.seconds, 3)}
        _json({**document, "problem": None, "steps": [step.to_dict() for step in result.steps]})
    elif result.changed:
        click.echo(f"done in {result.seconds:.1f} s")
    else:
        click.echo("nothing to do")


def _failed(name: str, error: SriovError) -> dict[str, Any]:
    left = any(step.state.value == "not taken back" for step in error.steps)
    steps = [step.to_dict() for step in error.steps]
    return {"physical_function": name, "changed": left, "problem": str(error), "steps": steps}


def _print_plan(wanted: Request, steps: list[Step], as_json: bool) -> None:
    if as_json:
        _json({"physical_function": wanted.physical_function, "steps": [step.to_dict() for step in steps]})
        return
    console = style.console()
    for step in steps:
        _print_step(console, step)
    if not steps:
        click.echo("nothing to do")


def _print_step(console: Any, step: Step) -> None:
    from rich.text import Text

    line = Text()
    line.append(f"{step.state.value:15}", STYLES[step.state.value])
    line.append(f"{step.subject}: {step.change}")
    if step.remark:
        line.append(f" ({step.remark})")
    if step.seconds >= 0.1:
        line.append(f"  {step.seconds:.1f} s", "dim")
    console.print(line)


def _json(document: object) -> None:
    json.dump(document, sys.stdout, indent=2)
    sys.stdout.write("\n")


HEADS = (
    "VF", "PCI address", "driver", "interface", "namespace", "state", "MAC", "VLAN", "QoS", "spoof check", "trust",
    "link", "Mbit/s", "queues",
)  # fmt: skip


def _print_state(state: PhysicalFunctionState) -> None:
    from rich.table import Table

    link = "down" if not state.up else "up" if state.carrier else "no carrier"
    queues = "" if state.queues is None else f", {state.queues} queues"
    console = style.console()
    console.print(
        f"{state.interface or '-'}  {state.pci_address}  driver {state.driver or 'none'}, {link}{queues}; "
        f"{state.number} of at most {state.total} virtual functions"
    )
    if not state.virtual_functions:
        return
    table = Table(box=None, pad_edge=False, header_style="")
    for head in HEADS:
        table.add_column(head, no_wrap=True, justify="right" if head in ("VF", "VLAN", "QoS", "queues") else "left")
    for each in state.virtual_functions:
        table.add_row(*_row(each))
    console.print(table)


def _row(each: VirtualFunctionState) -> list[str]:
    told = {True: "on", False: "off", None: "-"}
    settings = each.settings
    link = "-" if each.interface is None else "down" if not each.up else "up" if each.carrier else "no carrier"
    rates = (settings.minimum_rate_mbit_s or 0, settings.maximum_rate_mbit_s or 0)
    return [
        str(each.index),
        each.pci_address,
        each.driver or "-",
        each.interface or "-",
        each.namespace or "-",
        link,
        settings.mac or "-",
        str(settings.vlan or "-"),
        str(settings.qos if settings.vlan else "-"),
        told[settings.spoof_check],
        told[settings.trust],
        settings.link_state or "-",
        f"{rates[0]}-{rates[1] or 'all'}" if any(rates) else "-",
        str(each.queues or "-"),
    ]
