"""What is checked of SR-IOV on a kernel's real drivers, in a guest with an emulated card; one line of JSON for each.

Runs as the guest's command, and is imported by `test_sriov_guest` for the names of the checks.  The checks follow one
another: what one leaves, the next one begins with.  Our command is called in this process, because an interpreter takes
seconds to start under software emulation; what is called is what `netmap-io` calls.
"""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

PHYSICAL = "eth0"
ADDRESS = "02:00:00:00:00:1{}"
FRAMES = 200
FRAMES_AT_ONCE = 25
SETTLING_S = 3.0
"""After a change of VLANs or addresses, before frames may be counted on."""

CHECKS: dict[str, Callable[[], object]] = {}


def check(function: Callable[[], object]) -> Callable[[], object]:
    CHECKS[function.__name__] = function
    return function


class Answer:
    """What our command ended with."""

    def __init__(self, code: int, output: str, errors: str) -> None:
        self.code, self.output, self.errors = code, output, errors

    @property
    def json(self) -> Any:
        return json.loads(self.output)


def netmap_io(*arguments: str) -> Answer:
    from netmap_io.cli.main import cli

    output, errors = io.StringIO(), io.StringIO()
    code = 0
    with redirect_stdout(output), redirect_stderr(errors):
        try:
            cli.main([*arguments], prog_name="netmap-io")
        except SystemExit as end:
            code = int(end.code or 0)
    return Answer(code, output.getvalue(), errors.getvalue())


def listed() -> dict[str, Any]:
    """The one card, as `list` tells it."""
    (state,) = netmap_io("sriov", "list", "--json").json
    return dict(state)


def comparable(state: dict[str, Any]) -> dict[str, Any]:
    """Without what the kernel may choose anew: names of interfaces, and whether carrier is there yet."""
    volatile = ("interface", "carrier")
    functions = [{k: v for k, v in each.items() if k not in volatile} for each in state["virtual_functions"]]
    return {**{k: v for k, v in state.items() if k != "carrier"}, "virtual_functions": functions}


def apply(*options: str) -> Answer:
    return netmap_io("sriov", "apply", "-i", PHYSICAL, "--json", *options)


TWO = ("-n", "2", "--vf", f"0:mac={ADDRESS.format(0)}", "--vf", f"1:mac={ADDRESS.format(1)},trust=on,spoof_check=off")


@check
def list_shows_the_card() -> None:
    state = listed()
    assert state["interface"] == PHYSICAL
    assert (state["driver"], state["total"], state["virtual_functions"]) == ("igb", 7, [])
    assert "0 of at most 7" in netmap_io("sriov", "list").output


@check
def dry_run_changes_nothing() -> None:
    before = listed()
    answer = apply(*TWO, "--dry-run")
    assert answer.code == 0, answer.errors
    assert {step["state"] for step in answer.json["steps"]} == {"planned"}
    assert listed() == before


@check
def apply_creates_and_reports() -> dict[str, object]:
    answer = apply(*TWO, "--require-carrier")
    assert answer.code == 0, answer.errors
    assert {step["state"] for step in answer.json["steps"]} <= {"done", "skipped"}
    assert answer.json["changed"] is True
    return {"seconds": answer.json["seconds"], "steps": answer.json["steps"]}


@check
def list_shows_what_was_asked_for() -> None:
    state = listed()
    assert [each["settings"]["mac"] for each in state["virtual_functions"]] == [ADDRESS.format(0), ADDRESS.format(1)]
    assert [each["address"] for each in state["virtual_functions"]] == [ADDRESS.format(0), ADDRESS.format(1)]
    assert [each["settings"]["trust"] for each in state["virtual_functions"]] == [False, True]
    assert [each["settings"]["spoof_check"] for each in state["virtual_functions"]] == [True, False]
    assert {(each["driver"], each["up"], each["carrier"]) for each in state["virtual_functions"]} == {
        ("igbvf", True, True)
    }
    assert state["autoprobe"] is True


@check
def apply_again_does_nothing() -> None:
    answer = apply(*TWO)
    assert (answer.code, answer.json["changed"], answer.json["steps"]) == (0, False, [])


def interfaces() -> list[str]:
    return [str(each["interface"]) for each in listed()["virtual_functions"]]


def frames_between(sender: str, receiver: str, *, tag: int | None = None) -> dict[str, object]:
    """Numbered frames from port to port, addressed to the receiver; all must come, whole and once.

    Not in order: a card sends from several queues.
    An emulated card gives some frames back to their sender, and the kernel sends of itself: only ours are looked at.
    """
    from netmap_io import Burst, open_port
    from netmap_io.burst import ETHERNET

    kind = b"\x88\xb5"
    with open_port(receiver) as there, open_port(sender) as here:
        head = there.capabilities.mac + here.capabilities.mac
        vlan = b"" if tag is None else b"\x81\x00" + tag.to_bytes(2, "big")
        bodies = [
            kind + number.to_bytes(4, "big") + bytes([number & 0xFF]) * (46 + number * 5) for number in range(FRAMES)
        ]
        burst = Burst.of([head + vlan + body for body in bodies], link_types=ETHERNET)
        begin = time.monotonic()
        sent = 0
        got: list[bytes] = []
        while sent < FRAMES:
            sent += here.send(burst[sent : sent + FRAMES_AT_ONCE])
            here.flush()
            limit = time.monotonic() + 5  # an emulated card is slow, and refuses what it has no room for
            while len(got) < sent and time.monotonic() < limit:
                frames = (bytes(frame) for frame in there.receive(FRAMES, 0.1))
                got += [frame[12:] for frame in frames if frame[:12] == head and frame[12:14] == kind]
            assert time.monotonic() - begin < 20, f"{sent} frames could be sent, {len(got)} came"
        missing = [number for number, body in enumerate(bodies) if body not in got]
        assert sorted(got) == sorted(bodies), (
            f"{len(got)} of {FRAMES} frames came; missing: {missing}; {here.counters}; {there.counters}"
        )
        return {"seconds": time.monotonic() - begin}


@check
def packet_ports_carry_frames_from_the_physical_function() -> object:
    return frames_between(f"packet:{PHYSICAL}", f"packet:{interfaces()[0]}")


@check
def packet_ports_carry_frames_to_the_physical_function() -> object:
    return frames_between(f"packet:{interfaces()[0]}", f"packet:{PHYSICAL}")


@check
def packet_ports_carry_frames_between_virtual_functions() -> object:
    return frames_between(f"packet:{interfaces()[0]}", f"packet:{interfaces()[1]}")


@check
def xdp_port_on_a_virtual_function_receives() -> object:
    return frames_between(f"packet:{PHYSICAL}", f"af_xdp:{interfaces()[1]}?mode=generic")


@check
def xdp_port_on_a_virtual_function_sends() -> object:
    return frames_between(f"af_xdp:{interfaces()[1]}?mode=generic", f"packet:{PHYSICAL}")


@check
def xdp_ports_carry_frames_between_virtual_functions() -> object:
    return frames_between(f"af_xdp:{interfaces()[0]}", f"af_xdp:{interfaces()[1]}")


@check
def new_address_of_a_virtual_function_at_work() -> None:
    changed = "02:00:00:00:00:2a"
    answer = apply("-n", "2", "--vf", f"1:mac={changed}")
    assert answer.code == 0, answer.errors
    assert [each["address"] for each in listed()["virtual_functions"]] == [ADDRESS.format(0), changed]
    time.sleep(SETTLING_S)
    frames_between(f"packet:{PHYSICAL}", f"packet:{interfaces()[1]}")


@check
def vlan_is_put_on_and_taken_off() -> None:
    answer = apply("-n", "2", "--vf", "0:vlan=100,qos=3")
    assert answer.code == 0, answer.errors
    time.sleep(SETTLING_S)
    frames_between(f"packet:{PHYSICAL}", f"packet:{interfaces()[0]}", tag=100)
    settings = listed()["virtual_functions"][0]["settings"]
    assert (settings["vlan"], settings["qos"]) == (100, 3)
    assert apply("-n", "2", "--vf", "0:vlan=0").code == 0
    assert listed()["virtual_functions"][0]["settings"]["vlan"] == 0


def refused(answer: Answer, code: int, *words: str) -> None:
    assert answer.code == code, (answer.code, answer.output, answer.errors)
    assert len(answer.errors.strip().splitlines()) == 1, answer.errors
    for word in words:
        assert word in answer.errors, answer.errors


@check
def too_many_are_refused() -> None:
    refused(apply("-n", "8"), 2, "number: 8 is over the 7 that eth0 can have")


@check
def another_number_needs_leave() -> None:
    before = listed()
    refused(apply("-n", "3"), 3, "--replace")
    assert listed() == before


@check
def a_setting_that_the_driver_has_not_takes_all_back() -> None:
    before = comparable(listed())
    answer = apply("-n", "2", "--vf", "0:trust=on,vlan=7", "--vf", "1:link_state=enable")
    refused(answer, 3, "link state enable", "does not have this setting (EOPNOTSUPP)")
    states = [step["state"] for step in answer.json["steps"]]
    assert states[-1] == "taken back", states
    assert "failed" in states
    assert answer.json["changed"] is False
    assert comparable(listed()) == before


@check
def a_driver_that_refuses_gives_way_to_the_one_before() -> dict[str, object]:
    before = comparable(listed())
    answer = apply("-n", "2", "--vf", "0:mac=02:00:00:00:00:3a,driver=vfio-pci")
    refused(answer, 3, "modprobe vfio-pci")
    assert "not taken back" not in answer.output, answer.output
    assert comparable(listed()) == before
    return {"steps": answer.json["steps"]}


@check
def an_interrupted_request_is_taken_back() -> None:
    """All virtual functions had been removed for it, and come back."""
    before = comparable(listed())
    child = os.fork()
    if not child:
        code = 1
        try:
            code = apply("-n", "4", "--replace", "--carrier-timeout", "0").code
        finally:
            os._exit(code)
    number = Path(f"/sys/class/net/{PHYSICAL}/device/sriov_numvfs")
    end = time.monotonic() + 20
    while number.read_text().strip() != "4" and time.monotonic() < end:
        time.sleep(0.01)
    os.kill(child, signal.SIGINT)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 130, status
    assert comparable(listed()) == before


@check
def two_at_a_time_are_told_so() -> None:
    from netmap_io.sriov.runner import locked

    with locked(listed()["pci_address"]):
        refused(apply(*TWO), 3, f"process {os.getpid()} is changing")


@check
def an_interface_goes_to_another_namespace() -> None:
    from pyroute2 import netns

    netns.create("orbit")
    answer = apply("-n", "2", "--vf", "1:namespace=orbit")
    assert answer.code == 0, answer.errors
    function = listed()["virtual_functions"][1]
    told = (function["namespace"], function["up"], function["address"])
    assert told == ("orbit", True, "02:00:00:00:00:2a"), (function, answer.json["steps"])
    assert apply("-n", "2", "--vf", "1:namespace=orbit").json["changed"] is False
    refused(apply("-n", "2", "--vf", "0:namespace=nowhere"), 3, "there is no network namespace nowhere")


@check
def a_driver_is_unbound_and_bound() -> None:
    answer = apply("-n", "2", "--vf", "0:driver=none")
    assert answer.code == 0, answer.errors
    function = listed()["virtual_functions"][0]
    assert (function["driver"], function["interface"]) == (None, None)
    assert apply("-n", "2", "--vf", "0:driver=none").json["changed"] is False
    answer = apply("-n", "2", "--vf", "0:driver=igbvf")
    assert answer.code == 0, answer.errors
    function = listed()["virtual_functions"][0]
    assert (function["driver"], function["override"], function["up"]) == ("igbvf", "igbvf", True)
    assert function["address"] == ADDRESS.format(0)


@check
def each_refusal_of_the_kernel_has_its_sentence() -> dict[str, str]:
    """The errnos of writing sriov_numvfs and of settings, from the kernel itself and not from a table of ours."""
    from netmap_io.sriov.errors import explain
    from netmap_io.sriov.links import NetlinkLinks
    from netmap_io.sriov.sysfs import Sysfs

    sysfs, links = Sysfs(), NetlinkLinks()
    address = sysfs.address_of(PHYSICAL)

    def number(text: str) -> Callable[[], None]:
        return lambda: sysfs.write_attribute(address, "sriov_numvfs", text)

    def setting(index: int, **settings: object) -> Callable[[], None]:
        return lambda: links.set_virtual_function(PHYSICAL, index, settings)

    cases = [
        ("create", "3", number("3"), errno.EBUSY),
        ("create", "8", number("8"), errno.ERANGE),
        ("create", "99999", number("99999"), errno.EINVAL),
        ("mac", "multicast", setting(0, mac="01:00:00:00:00:01"), errno.EINVAL),
        ("mac", "index 5", setting(5, mac="02:00:00:00:00:01"), errno.EINVAL),
        ("vlan", "802.1ad", setting(0, vlan=5, qos=0, vlan_protocol="802.1ad"), errno.EPROTONOSUPPORT),
        ("link_state", "enable", setting(0, link_state="enable"), errno.EOPNOTSUPP),
        ("queues", "5", lambda: links.set_queues(PHYSICAL, 5), errno.EINVAL),
        ("queues", "VF", lambda: links.set_queues(interfaces()[0], 2), errno.EOPNOTSUPP),
    ]
    found = {}
    for operation, value, call, expected in cases:
        try:
            call()
        except OSError as error:
            assert error.errno == expected, (operation, value, error)
            found[f"{operation} {value}"] = explain(operation, error.errno, PHYSICAL, value)
        else:
            raise AssertionError(f"{operation} {value} was not refused")
    links.close()
    return found


@check
def doctor_tells_what_the_card_can_do() -> dict[str, object]:
    told = netmap_io("doctor", "--json").json
    virtual = interfaces()[0]
    facts = {(each["subject"], each["name"]): each for each in told}
    assert "2 of at most 7 virtual functions made" in facts[PHYSICAL, "SR-IOV"]["fact"]
    assert facts[virtual, "SR-IOV"]["fact"] == f"virtual function 0 of {PHYSICAL}", facts[virtual, "SR-IOV"]
    assert facts[PHYSICAL, "netmap"]["state"] == "absent"
    return {"facts": told}


@check
def delete_removes_all() -> None:
    answer = netmap_io("sriov", "delete", PHYSICAL)
    assert answer.code == 0, answer.errors
    assert "2 virtual functions removed" in answer.output
    assert listed()["virtual_functions"] == []
    assert listed()["autoprobe"] is True


@check
def delete_again_does_nothing() -> None:
    answer = netmap_io("sriov", "delete", PHYSICAL)
    assert (answer.code, answer.output) == (0, "nothing to do\n"), answer.output


def run(name: str) -> dict[str, object]:
    begin = time.monotonic()
    line: dict[str, object] = {"check": name, "passed": True}
    try:
        line["told"] = CHECKS[name]()
    except Exception:  # noqa: BLE001 (it is told to the test of this name)
        line.update(passed=False, told=traceback.format_exc())
    line["seconds"] = round(time.monotonic() - begin, 2)
    return line


def main() -> None:
    for name in sys.argv[1:] or CHECKS:
        print(json.dumps(run(name)), flush=True)


if __name__ == "__main__":
    main()
