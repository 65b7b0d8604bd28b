"""What a guest boots from, and which packages are taken; without a guest."""

from __future__ import annotations

import gzip
import lzma
import subprocess

import pytest

from guests.guest import Guest, GuestError, igb_cards
from guests.initramfs import module_files, pack
from guests.packages import MissingPackagesError, newest


def entries(archive: bytes) -> dict[str, tuple[int, bytes]]:
    """An archive of cpio's format newc, read as its manual page says."""
    found, at = {}, 0
    while True:
        head = archive[at : at + 110]
        assert head[:6] == b"070701"
        mode, size, name_size = (int(head[start : start + 8], 16) for start in (14, 54, 94))
        name = archive[at + 110 : at + 110 + name_size - 1].decode()
        at += -(-(110 + name_size) // 4) * 4
        if name == "TRAILER!!!":
            return found
        found[name] = (mode, archive[at : at + size])
        at += -(-size // 4) * 4


def test_the_archive_holds_what_was_packed(tmp_path):
    busybox, module, squeezed = tmp_path / "busybox", tmp_path / "a.ko", tmp_path / "b-c.ko.xz"
    busybox.write_bytes(b"program")
    module.write_bytes(b"module")
    squeezed.write_bytes(lzma.compress(b"squeezed"))
    packed = pack(
        busybox=busybox,
        modules=[module, squeezed],
        command=["say", "it's", "$HOME"],
        directory=tmp_path / "a b",
        environment={"A": "1 2"},
    )
    found = entries(gzip.decompress(packed))
    assert found["bin/busybox"] == (0o100755, b"program")
    assert found["bin/sh"] == (0o120777, b"busybox")
    assert found["modules/a.ko"][1] + found["modules/b-c.ko"][1] == b"modulesqueezed"
    assert found["modules/order"][1] == b"a.ko\nb-c.ko"
    assert found["init"][0] == 0o100755
    (tmp_path / "a b").mkdir()
    (tmp_path / "say").write_text('#!/bin/sh\necho "$PWD,$A,$1,$2"\n')
    (tmp_path / "say").chmod(0o755)
    line = found["command"][1].decode()
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    said = subprocess.run(["sh", "-c", line], env=environment, capture_output=True, text=True, timeout=20)
    assert said.stdout == f"{tmp_path}/a b,1 2,it's,$HOME\n"


def test_modules_come_after_those_that_they_need(tmp_path):
    folder = tmp_path / "kernel/drivers"
    folder.mkdir(parents=True)
    for name, needs in (("a", "b-1,c"), ("b-1", "c"), ("c", "")):
        (folder / f"{name}.ko").write_bytes(b"\x7fELF\0license=GPL\0depends=" + needs.encode() + b"\0name=x\0")
    (tmp_path / "modules.builtin").write_text("kernel/net/packet.ko\n")
    assert [path.name for path in module_files(tmp_path, ["a", "packet", "b_1"])] == ["c.ko", "b-1.ko", "a.ko"]
    with pytest.raises(LookupError, match="the kernel has no module d"):
        module_files(tmp_path, ["d"])


def test_the_newest_offer_is_taken():
    offers = [("1:7.2+dfsg-7", "bookworm"), ("1:10.0.2+ds-2~bpo12+1", "bookworm-backports"), ("1:9.1", "x")]
    assert newest(offers) == ("1:10.0.2+ds-2~bpo12+1", "bookworm-backports")
    assert newest([]) == ("", "")
    assert issubclass(MissingPackagesError, Exception)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo booting; exit 0", "ended after 0 s before its command did"),
        ("echo booting; exec sleep 60", "was killed after 1 s"),
    ],
)
def test_a_guest_that_does_not_end_says_its_last_words(tmp_path, script, words):
    guest = Guest(["sh", "-c", f"{script} #"], tmp_path / "kernel", b"", igb_cards(1), timeout_s=1.0)
    with pytest.raises(GuestError, match="booting") as raised:
        guest.run()
    assert words in str(raised.value)


def test_a_guest_that_ends_is_read(tmp_path):
    report = "guest: running\\r\\nhello\\nguest: exit code 3\\n"
    script = f"for word; do case $word in file:*) printf '{report}' >${{word#file:}};; esac; done; echo kernel"
    outcome = Guest(["sh", "-c", script, "sh"], tmp_path / "kernel", b"").run()
    assert (outcome.lines, outcome.exit_code, outcome.console) == (["hello"], 3, ["kernel"])
