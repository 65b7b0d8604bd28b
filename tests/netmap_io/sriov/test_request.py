"""Requests: what holds, and that every error names its key."""

from __future__ import annotations

import pytest

from netmap_io.sriov import Request, Settings, VirtualFunction, request_from_dict, request_from_toml
from netmap_io.sriov.errors import SriovRequestError

EXAMPLE = """
physical_function = "enp1s0f0"
number = 3
queues = 4

[defaults]
spoof_check = true
vlan = 100

[[virtual_function]]
index = 1
mac = "02:00:00:00:00:10"
vlan = 7
qos = 3
maximum_rate_mbit_s = 1000
"""


def test_a_file_is_read_and_defaults_hold_where_nothing_else_is_said(tmp_path):
    path = tmp_path / "link.toml"
    path.write_text(EXAMPLE)
    request = request_from_toml(path)
    assert (request.physical_function, request.number, request.queues) == ("enp1s0f0", 3, 4)
    assert request.settings(0) == request.settings(2) == Settings(spoof_check=True, vlan=100)
    own = {"mac": "02:00:00:00:00:10", "vlan": 7, "qos": 3, "maximum_rate_mbit_s": 1000, "spoof_check": True}
    assert request.settings(1) == Settings(**own)


def one(**settings):
    return {"virtual_function": [{"index": 0, **settings}]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"physical_function": 3}, "physical_function: expected `str`, got `int`"),
        ({"physical_function": "../x"}, "physical_function: must be a name"),
        ({"number": -1}, "number: expected `int` >= 0"),
        ({"numbre": 1}, "numbre: there is no such key; did you mean number?"),
        ({"queues": 0}, "queues: expected `int` >= 1"),
        ({"defaults": {"mac": "02:00:00:00:00:01"}}, "defaults.mac: several virtual functions cannot have one address"),
        ({"defaults": {"vlam": 3}}, "defaults.vlam: there is no such key; did you mean vlan?"),
        (one(mac="01:00:00:00:00:01"), "virtual_function[0].mac: 01:00:00:00:00:01 is a multicast address"),
        (one(mac="00:00:00:00:00:00"), "virtual_function[0].mac: this is no address"),
        (one(mac="02-00-00-00-00-01"), "virtual_function[0].mac: must be six octets in hexadecimal"),
        (one(vlan=4095), "virtual_function[0].vlan: expected `int` <= 4094"),
        (one(qos=3), "virtual_function[0].qos: needs a vlan"),
        (one(vlan=0, qos=3), "virtual_function[0].qos: needs a vlan"),
        (one(vlan_protocol="802.1ad"), "virtual_function[0].vlan_protocol: needs a vlan"),
        (one(link_state="up"), "virtual_function[0].link_state: invalid enum value 'up'"),
        (
            one(minimum_rate_mbit_s=20, maximum_rate_mbit_s=10),
            "virtual_function[0].minimum_rate_mbit_s: 20 is over maximum_rate_mbit_s = 10",
        ),
        (one(driver="none", namespace="a"), 'virtual_function[0].namespace: a virtual function with driver = "none"'),
        (one(namespace=".."), "virtual_function[0].namespace: must be a name"),
        ({"virtual_function": [{"vlan": 1}]}, "virtual_function[0].index: is needed"),
        ({"virtual_function": [{"index": 2}]}, "virtual_function[0].index: 2 is not below number = 2"),
        (
            {"virtual_function": [{"index": 1}, {"index": 1}]},
            "virtual_function[1].index: virtual function 1 is given twice",
        ),
        (
            {"virtual_function": [{"index": i, "mac": "02:00:00:00:00:0A"} for i in (0, 1)]},
            "virtual_function[1].mac: 02:00:00:00:00:0A is virtual function 0's already",
        ),
    ],
)
def test_an_error_names_the_key(content, message):
    with pytest.raises(SriovRequestError) as raised:
        request_from_dict({"physical_function": "eth0", "number": 2, **content})
    assert str(raised.value).startswith(message)
    with pytest.raises(SriovRequestError) as raised:
        request_from_dict({"physical_function": "eth0", "number": 2, **content}, source="a.toml")
    assert str(raised.value).startswith(f"a.toml: {message}")


def test_a_request_made_in_code_is_checked_too():
    with pytest.raises(SriovRequestError, match="is not below"):
        Request(physical_function="eth0", number=1, virtual_function=(VirtualFunction(index=1),))


def test_what_is_no_toml_says_where(tmp_path):
    path = tmp_path / "broken.toml"
    path.write_text("number = ")
    with pytest.raises(SriovRequestError, match=r"broken.toml is not a TOML file: "):
        request_from_toml(path)
