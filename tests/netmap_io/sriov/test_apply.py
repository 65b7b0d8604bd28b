"""Applying requests to a card in memory: order, reports, rollback, and what is refused."""

from __future__ import annotations

import os

import pytest
from fake_kernel import INTERFACE, PHYSICAL, ZERO, FakeKernel

from netmap_io.sriov import Request, StepState, apply, delete, observe, observe_all, plan, request_from_dict
from netmap_io.sriov.errors import SriovBusyError, SriovError, SriovPrivilegeError, SriovRequestError
from netmap_io.sriov.runner import locked

MAC = "02:00:00:00:00:1{}"


def request(number: int = 2, *own: dict, **more) -> Request:
    functions = [{"index": index, **each} for index, each in enumerate(own)]
    return request_from_dict({"physical_function": INTERFACE, "number": number, "virtual_function": functions, **more})


TWO = request(2, {"mac": MAC.format(0), "vlan": 100, "qos": 3}, {"mac": MAC.format(1), "trust": True})


def told(result) -> list[str]:
    return [str(step) for step in result.steps]


def test_the_order_that_works_is_reported_step_by_step(kernel):
    heard = []
    result = apply(TWO, kernel.system, heard.append)
    assert tuple(heard) == result.steps
    assert told(result) == [
        "done: eth0, interface up",
        "done: eth0, carrier",
        "done: eth0, drivers probe new functions only when told to",
        "done: eth0, 2 virtual functions created",
        "done: virtual function 0, mac 02:00:00:00:00:10",
        "done: virtual function 0, vlan 100, qos 3",
        "done: virtual function 1, mac 02:00:00:00:00:11",
        "done: virtual function 1, trust on",
        "done: eth0, drivers probe new functions at once",
        "done: virtual function 0, driver bound: igbvf",
        "done: virtual function 1, driver bound: igbvf",
        "done: virtual function 0, interface up",
        "done: virtual function 1, interface up",
        "done: virtual function 0, carrier",
        "done: virtual function 1, carrier",
    ]
    assert [each.own for each in kernel.functions] == [MAC.format(0), MAC.format(1)]
    assert result.changed


def test_a_plan_changes_nothing_and_is_what_is_done(kernel):
    before = kernel.fingerprint()
    planned = plan(TWO, kernel.system)
    assert (kernel.fingerprint(), kernel.changes) == (before, 0)
    assert {step.state for step in planned} == {StepState.PLANNED}
    done = apply(TWO, kernel.system).steps
    assert [(step.subject, step.change) for step in planned] == [(step.subject, step.change) for step in done]


def test_the_same_again_does_nothing(kernel):
    apply(TWO, kernel.system)
    changes = kernel.changes
    assert apply(TWO, kernel.system).steps == ()
    assert kernel.changes == changes


def test_only_what_differs_is_changed(kernel):
    apply(TWO, kernel.system)
    result = apply(request(2, {"vlan": 200}, {"spoof_check": False}), kernel.system)
    assert told(result) == ["done: virtual function 0, vlan 200", "done: virtual function 1, spoof check off"]
    assert (kernel.functions[0].settings.qos, kernel.functions[0].settings.vlan) == (3, 200)


def test_no_vlan_any_more(kernel):
    apply(TWO, kernel.system)
    apply(request(2, {"vlan": 0}), kernel.system)
    assert (kernel.functions[0].settings.vlan, kernel.functions[0].settings.qos) == (0, 0)
    assert apply(request(2, {"vlan": 0}), kernel.system).steps == ()


@pytest.mark.parametrize("trust", [False, True])
def test_a_new_address_is_taken_by_an_interface_at_work(kernel, trust):
    apply(request(2, {"mac": MAC.format(0), "trust": trust}), kernel.system)
    result = apply(request(2, {"mac": MAC.format(7)}), kernel.system)
    assert kernel.functions[0].own == MAC.format(7)
    assert result.steps[0].remark == ("set at the interface too" if trust else "interface down and up")


def test_a_settings_own_refusal_takes_everything_back(tmp_path):
    kernel = FakeKernel(tmp_path / "sys", unsupported=frozenset({"link_state"}))
    apply(TWO, kernel.system)
    before = kernel.fingerprint()
    wanted = request(2, {"mac": MAC.format(5), "vlan": 7}, {"link_state": "disable", "spoof_check": False})
    with pytest.raises(SriovError) as raised:
        apply(wanted, kernel.system)
    assert str(raised.value) == (
        "virtual function 1, link state disable: "
        "the driver of virtual function 1 does not have this setting (EOPNOTSUPP)"
    )
    assert kernel.fingerprint() == before
    states = [(step.state.value, step.change) for step in raised.value.steps]
    assert states == [
        ("done", f"mac {MAC.format(5)}"),
        ("done", "vlan 7"),
        ("done", "spoof check off"),
        ("failed", "link state disable"),
        ("taken back", "spoof check off"),
        ("taken back", "vlan 7"),
        ("taken back", f"mac {MAC.format(5)}"),
    ]


def test_what_cannot_be_taken_back_is_said(kernel):
    apply(request(1), kernel.system)
    wanted = request(1, {"vlan": 5, "spoof_check": False})

    def report(step):
        if step.change == "vlan 5" and step.state is StepState.DONE:
            kernel.fail_at = kernel.changes + 1  # the next setting
        if step.state is StepState.FAILED:
            kernel.fail_at = kernel.changes + 1  # and the way back

    with pytest.raises(SriovError, match="this could not be taken back: virtual function 0, vlan 5") as raised:
        apply(wanted, kernel.system, report)
    assert raised.value.steps[-1].state is StepState.NOT_TAKEN_BACK


def test_another_number_needs_leave_and_then_replaces(kernel):
    apply(TWO, kernel.system)
    before = kernel.fingerprint()
    with pytest.raises(SriovError, match="replace = true"):
        apply(request(3), kernel.system)
    assert kernel.fingerprint() == before
    apply(request(3, replace=True), kernel.system)
    assert [each.settings.mac for each in kernel.functions] == [ZERO] * 3


@pytest.mark.parametrize("late", [False, True])
def test_an_interrupt_before_or_after_any_change_takes_everything_back(kernel, late):
    kernel.fail_late = late
    apply(TWO, kernel.system)
    before = kernel.fingerprint()
    wanted = request(4, {"namespace": "orbit", "driver": "igbvf"}, {"driver": "none"}, replace=True)
    for number in range(1, 1000):
        kernel.fail_at, kernel.fail_with = kernel.changes + number, KeyboardInterrupt()
        try:
            apply(wanted, kernel.system)
        except KeyboardInterrupt:
            assert kernel.fingerprint() == before, f"change {number}"
        else:
            break
    assert 10 < number < 1000
    assert len(kernel.functions) == 4


def test_drivers_none_and_named(kernel):
    apply(request(2, {"driver": "none"}, {"driver": "vfio-pci"}), kernel.system)
    assert [(each.driver, each.override, each.interface) for each in kernel.functions] == [
        (None, "", None),
        ("vfio-pci", "vfio-pci", None),
    ]
    assert apply(request(2, {"driver": "none"}, {"driver": "vfio-pci"}), kernel.system).steps == ()
    apply(request(2, {"driver": "igbvf"}, {"driver": "igbvf"}), kernel.system)
    assert [(each.driver, each.up) for each in kernel.functions] == [("igbvf", True)] * 2
    apply(request(2, {"driver": "none"}, {"driver": "vfio-pci"}), kernel.system)
    assert [each.driver for each in kernel.functions] == [None, "vfio-pci"]


def test_autoprobe_that_was_off_stays_off(kernel):
    kernel.write(f"bus/pci/devices/{PHYSICAL}/sriov_drivers_autoprobe", "0")
    apply(TWO, kernel.system)
    assert [each.driver for each in kernel.functions] == ["igbvf", "igbvf"]
    assert kernel.attribute("sriov_drivers_autoprobe") == "0"


def test_a_driver_that_is_not_loaded_is_named(tmp_path):
    kernel = FakeKernel(tmp_path / "sys", drivers=("vfio-pci",))
    before = kernel.fingerprint()
    with pytest.raises(SriovError, match="there is no driver igbvf: modprobe igbvf"):
        apply(request(1, {"driver": "igbvf"}), kernel.system)
    with pytest.raises(SriovError, match=r"no loaded driver takes 0000:01:10.0 \(8086:10ca\)"):
        apply(request(1), kernel.system)
    assert kernel.fingerprint() == before


def test_namespaces(kernel):
    result = apply(request(2, {"namespace": "orbit", "mac": MAC.format(0)}), kernel.system)
    assert "done: virtual function 0, interface into network namespace orbit" in told(result)
    state = observe(INTERFACE, kernel.system)
    assert [(each.namespace, each.up, each.carrier) for each in state.virtual_functions] == [
        ("orbit", True, True),
        (None, True, True),
    ]
    assert apply(request(2, {"namespace": "orbit"}), kernel.system).steps == ()
    with pytest.raises(SriovError, match=r"there is no network namespace nowhere \(ENOENT\)"):
        apply(request(2, {}, {"namespace": "nowhere"}), kernel.system)
    delete(INTERFACE, kernel.system)
    assert kernel.functions == []


def test_an_interface_at_work_is_up_again_in_another_namespace(kernel):
    apply(request(2), kernel.system)
    apply(request(2, {"namespace": "orbit"}), kernel.system)
    assert [(each.namespace, each.up) for each in kernel.functions] == [("orbit", True), (None, True)]


def test_delete_does_not_look_at_what_it_removes(kernel):
    apply(request(2, {"up": False}, {"driver": "none"}), kernel.system)
    assert [step.action for step in delete(INTERFACE, kernel.system).steps] == ["remove"]


def test_queues_of_both(kernel):
    apply(request(1, {"queues": 2}, queues=1), kernel.system)
    assert (kernel.queues, kernel.functions[0].queues) == (1, 2)
    with pytest.raises(SriovError, match=r"virtual function 0 has not so many queues \(EINVAL\)"):
        apply(request(1, {"queues": 9}), kernel.system)


def test_without_a_cable(kernel):
    kernel.cable = False
    result = apply(request(1, carrier_timeout_s=2), kernel.system)
    late = [step for step in result.steps if step.action == "carrier"]
    assert [step.state for step in late] == [StepState.SKIPPED] * 2
    assert late[0].remark.startswith("none within 2 s")
    delete(INTERFACE, kernel.system)
    before = kernel.fingerprint()
    with pytest.raises(SriovError, match="has no carrier: none within 2 s"):
        apply(request(1, carrier_timeout_s=2, require_carrier=True), kernel.system)
    assert kernel.fingerprint() == before


def test_delete(kernel):
    assert delete(INTERFACE, kernel.system).steps == ()
    apply(TWO, kernel.system)
    assert told(delete(PHYSICAL, kernel.system)) == ["done: eth0, 2 virtual functions removed"]
    assert (kernel.functions, kernel.attribute("sriov_drivers_autoprobe")) == ([], "1")


def test_what_is_no_physical_function(kernel):
    apply(request(1), kernel.system)
    for name, words in (
        ("eth9", "no interface and no address of a PCI function; physical functions: eth0"),
        ("0000:02:00.0", "has no SR-IOV"),
        ("0000:01:10.0", "is itself a virtual function"),
        ("..", "no interface"),
    ):
        with pytest.raises(SriovError, match=words):
            observe(name, kernel.system)
    assert [each.pci_address for each in observe_all(kernel.system)] == [PHYSICAL]


def test_more_than_the_card_can_have(kernel):
    with pytest.raises(SriovRequestError, match="number: 5 is over the 4 that eth0 can have"):
        plan(request(5), kernel.system)


def test_one_at_a_time(kernel):
    with locked(PHYSICAL), pytest.raises(SriovBusyError, match=f"process {os.getpid()} is changing"):
        apply(TWO, kernel.system)
    apply(TWO, kernel.system)


def test_no_privilege_is_an_error_of_its_own(kernel):
    kernel.fail_at, kernel.fail_with = 1, PermissionError(1, "Operation not permitted")
    with pytest.raises(SriovPrivilegeError, match="run as root"):
        apply(TWO, kernel.system)
