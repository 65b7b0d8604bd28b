"""The seam to rtnetlink, on real interfaces: a pair of them in a namespace that nobody else sees."""

from __future__ import annotations

import errno

import pytest

from netmap_io.sriov.links import NetlinkLinks, VfSettings, _settings
from netmap_io.sriov.vlan_message import message


@pytest.fixture
def links():
    found = NetlinkLinks()
    yield found
    found.close()


def test_interfaces_are_listed_and_changed(veth, links):
    with veth.inside():
        assert {"lo", "near", "far"} <= set(links.links())
        links.set_address("near", "02:00:00:00:00:55")
        assert links.links()["near"].address == "02:00:00:00:00:55"
        assert links.links()["near"].up
        links.set_up("near", False)
        assert not links.links()["near"].up
        assert links.links()["near"].parent is None
        assert links.virtual_functions("near") == {}
        assert links.queues("near") == 2


def test_what_the_kernel_refuses_is_an_os_error(veth, links):
    with veth.inside():
        with pytest.raises(OSError) as raised:
            links.set_up("absent", True)
        assert raised.value.errno == errno.ENODEV
        with pytest.raises(OSError) as raised:
            links.set_virtual_function("near", 0, {"trust": True})
        assert raised.value.errno == errno.EOPNOTSUPP
        with pytest.raises(OSError) as raised:
            links.set_virtual_function("near", 0, {"vlan": 5, "qos": 1, "vlan_protocol": "802.1ad"})
        assert raised.value.errno == errno.EOPNOTSUPP
        with pytest.raises(OSError) as raised:
            links.set_queues("near", 99)
        assert raised.value.errno == errno.EINVAL


def test_our_own_vlan_message_is_read_by_pyroute2():
    from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

    octets = message(7, 3, 100, 5, 0x88A8)
    read = ifinfmsg(octets)
    read.decode()
    assert (read["index"], read["header"]["length"], read["header"]["type"]) == (7, len(octets), 19)
    function = read.get_attr("IFLA_VFINFO_LIST").get_attr("IFLA_VF_INFO")
    tag = function.get_attr("IFLA_VF_VLAN_LIST").get_attr("IFLA_VF_VLAN_INFO")
    assert {name: tag[name] for name in ("vf", "vlan", "qos", "proto")} == {
        "vf": 3,
        "vlan": 100,
        "qos": 5,
        "proto": 0x88A8,
    }


class Row(dict):
    get_attr = dict.get


def test_what_a_driver_does_not_tell_is_none():
    row = Row(
        IFLA_VF_MAC={"vf": 0, "mac": "02:00:00:00:00:01"},
        IFLA_VF_SPOOFCHK={"vf": 0, "spoofchk": 0xFFFFFFFF},
        IFLA_VF_TRUST={"vf": 0, "trust": 1},
        IFLA_VF_LINK_STATE={"vf": 0, "link_state": 2},
    )
    assert _settings(row) == VfSettings(mac="02:00:00:00:00:01", trust=True, link_state="disable")
