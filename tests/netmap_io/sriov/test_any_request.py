"""Any request, failing anywhere: the card is as before.  Any request, twice: the second does nothing."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from fake_kernel import INTERFACE, FakeKernel
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from netmap_io.sriov import Request, Settings, StepState, VirtualFunction, apply, delete, plan, runner
from netmap_io.sriov.errors import SriovError

TOTAL = 3


@st.composite
def requests(draw):
    """Any that holds, for a card of three virtual functions; some are refused by its driver."""
    number = draw(st.integers(0, TOTAL))
    functions = []
    for index in range(number):
        driver = draw(st.sampled_from((None, None, None, "igbvf", "none", "vfio-pci", "mlx5_core")))
        interface = driver in (None, "igbvf")
        vlan = draw(st.none() | st.integers(0, 4))
        low = draw(st.none() | st.integers(0, 3))
        functions.append(
            VirtualFunction(
                index=index,
                mac=draw(st.none() | st.sampled_from([f"02:00:00:00:0{index}:0{n}" for n in range(3)])),
                vlan=vlan,
                qos=draw(st.none() | st.integers(0, 2)) if vlan else None,
                vlan_protocol=draw(st.sampled_from((None, None, "802.1Q", "802.1ad"))) if vlan else None,
                spoof_check=draw(st.none() | st.booleans()),
                trust=draw(st.none() | st.booleans()),
                link_state=draw(st.sampled_from((None, None, None, "auto", "disable"))),
                minimum_rate_mbit_s=low,
                maximum_rate_mbit_s=draw(st.none() | st.integers(low or 0, 5)),
                queues=draw(st.sampled_from((None, None, 1, 2, 9))) if interface else None,
                driver=driver,
                namespace=draw(st.sampled_from((None, None, "orbit", "nowhere"))) if interface else None,
                up=draw(st.none() | st.booleans()) if interface else None,
            )
        )
    return Request(
        physical_function=INTERFACE,
        number=number,
        queues=draw(st.sampled_from((None, None, 1, 3, 9))),
        replace=draw(st.booleans()),
        carrier_timeout_s=draw(st.sampled_from((0, 1))),
        require_carrier=draw(st.booleans()),
        defaults=Settings(trust=draw(st.none() | st.booleans())),
        virtual_function=tuple(functions),
    )


class Card(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="card-"))
        self.locks, runner.LOCKS = runner.LOCKS, self.folder / "locks"

    def teardown(self):
        runner.LOCKS = self.locks
        shutil.rmtree(self.folder)

    @initialize(
        cable=st.booleans(),
        up=st.booleans(),
        unsupported=st.sets(st.sampled_from(("trust", "link_state", "maximum_rate_mbit_s"))),
    )
    def make(self, cable, up, unsupported):
        self.kernel = FakeKernel(
            self.folder / "sys", total=TOTAL, cable=cable, up=up, unsupported=frozenset(unsupported)
        )

    @rule(autoprobe=st.booleans())
    def somebody_sets_autoprobe(self, autoprobe):
        self.kernel.write("bus/pci/devices/0000:01:00.0/sriov_drivers_autoprobe", str(int(autoprobe)))

    @rule(request=requests())
    def apply_twice(self, request):
        before = self.kernel.fingerprint()
        try:
            result = apply(request, self.kernel.system)
        except SriovError as error:
            assert self.kernel.fingerprint() == before
            assert not [step for step in error.steps if step.state is StepState.NOT_TAKEN_BACK]
            return
        assert not [step for step in result.steps if step.state in (StepState.FAILED, StepState.TAKEN_BACK)]
        after, changes = self.kernel.fingerprint(), self.kernel.changes
        assert plan(request, self.kernel.system) == []
        assert not apply(request, self.kernel.system).changed
        assert (self.kernel.fingerprint(), self.kernel.changes) == (after, changes)
        self.holds(request)

    @rule(request=requests(), at=st.integers(1, 25), interrupted=st.booleans(), late=st.booleans())
    def fail_at_a_change(self, request, at, interrupted, late):
        before = self.kernel.fingerprint()
        self.kernel.fail_at = self.kernel.changes + at
        self.kernel.fail_with = KeyboardInterrupt() if interrupted else None
        self.kernel.fail_late = interrupted and late

        def report(step):
            if step.state is StepState.FAILED:  # by itself: the way back is not to fail too
                self.kernel.fail_at = None

        try:
            apply(request, self.kernel.system, report)
        except (SriovError, KeyboardInterrupt):
            assert self.kernel.fingerprint() == before
        self.kernel.fail_at = None

    @rule()
    def delete_all(self):
        delete(INTERFACE, self.kernel.system)
        assert self.kernel.functions == []

    @invariant()
    def locks_are_free(self):
        if hasattr(self, "kernel"):
            with runner.locked("0000:01:00.0"):
                pass

    def holds(self, request):
        """What was asked for is so, read from the card and not by the code under test."""
        assert len(self.kernel.functions) == request.number
        for index, function in enumerate(self.kernel.functions):
            wanted = request.settings(index)
            for name in function.settings.__slots__:
                asked = getattr(wanted, name)
                assert asked is None or getattr(function.settings, name) == asked
            if wanted.driver is not None:
                assert function.driver == (None if wanted.driver == "none" else wanted.driver)
            assert wanted.namespace is None or function.namespace == wanted.namespace
            assert wanted.queues is None or function.queues == wanted.queues
            if function.interface is not None:
                assert function.up == (wanted.up is not False)
                if function.up and wanted.mac is not None:
                    assert function.own == wanted.mac


Card.TestCase.settings = settings(max_examples=60, stateful_step_count=12, deadline=None)
test_any_request = pytest.mark.usefixtures("own_locks")(Card.TestCase)
