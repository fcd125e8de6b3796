"""What LLDB asks of the system. Formats are those of LLVM's "LLDB Remote Protocol" and of lldb-server 23's replies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from debugserver.target.model import ModuleDetails, ProcessDetails
from debugserver.testing.fake_target import FakeTarget
from tests.support.packets import ask, connect, transcript, unescape

if TYPE_CHECKING:
    from debugserver.stub.stub import Stub

LLDB = b"xmlRegisters=i386,arm,mips,arc;multiprocess+;fork-events+;vfork-events+"

SH = ProcessDetails(0x20, 1, 1000, 1001, 1002, 1003, "/bin/sh", ("sh", "-c", "a b"), "x86_64-pc-linux-gnu", 8)
BASH = ProcessDetails(0x21, 0x20, 0, 0, 0, 0, "/bin/bash", ("bash",), "i386-pc-linux-gnu", 4)
KERNEL = ProcessDetails(2, 0, 0, 0, 0, 0, "", (), "")
SH_LINE = (
    b"pid:32;ppid:1;uid:1000;gid:1001;euid:1002;egid:1003;name:2f62696e2f7368;args:7368-2d63-612062;"
    b"triple:7838365f36342d70632d6c696e75782d676e75;"
)
BASH_LINE = (
    b"pid:33;ppid:32;uid:0;gid:0;euid:0;egid:0;name:2f62696e2f62617368;args:62617368;"
    b"triple:693338362d70632d6c696e75782d676e75;"
)
KERNEL_LINE = b"pid:2;ppid:0;uid:0;gid:0;euid:0;egid:0;"


@pytest.fixture
def target() -> FakeTarget:
    target = FakeTarget()
    target.host.processes = {process.pid: process for process in (SH, BASH, KERNEL)}
    return target


@pytest.fixture
def stub(target: FakeTarget) -> Stub:
    return connect(target, LLDB)


def test_the_host(stub: Stub) -> None:
    assert ask(stub, b"qHostInfo") == (
        b"triple:66616b652d756e6b6e6f776e2d6c696e75782d676e75;ptrsize:4;distribution_id:64656269616e;"
        b"watchpoint_exceptions_received:after;endian:little;os_version:6.1;os_build:362e312d66616b65;"
        b"os_kernel:2331;hostname:626f78;"
    )


def test_the_debuggee_is_described_in_hex(stub: Stub, target: FakeTarget) -> None:
    assert ask(stub, b"qProcessInfo") == b"E01"
    target.add_process(0x20)
    assert ask(stub, b"qProcessInfo") == (
        b"pid:20;parent-pid:1;real-uid:3e8;real-gid:3e9;effective-uid:3ea;effective-gid:3eb;"
        b"triple:7838365f36342d70632d6c696e75782d676e75;ostype:linux;endian:little;ptrsize:8;"
    )


def test_any_process_is_described_in_decimal(stub: Stub) -> None:
    transcript(
        stub,
        [
            (b"qProcessInfoPID:32", SH_LINE),
            (b"qProcessInfoPID:2", KERNEL_LINE),
            (b"qProcessInfoPID:99", b"E01"),
            (b"qProcessInfoPID:2f", b"E22"),
            (b"qProcessInfoPID:", b"E22"),
        ],
    )


@pytest.mark.parametrize(
    ("wanted", "lines"),
    [
        (b"", [SH_LINE, BASH_LINE, KERNEL_LINE]),
        (b":", [SH_LINE, BASH_LINE, KERNEL_LINE]),
        (b":name:7368;", [SH_LINE]),
        (b":name_match:equals;name:7368;all_users:1;", [SH_LINE]),
        (b":name:6261;name_match:starts_with;", [BASH_LINE]),
        (b":name:7368;name_match:ends_with;", [SH_LINE, BASH_LINE]),
        (b":name:6173;name_match:contains;", [BASH_LINE]),
        (b":name:5e2e732e2a;name_match:regex;", []),
        (b":name:5e2e7324;name_match:regex;", []),
        (b":name:5e2e6824;name_match:regex;", [SH_LINE]),
        (b":pid:33;", [BASH_LINE]),
        (b":parent_pid:32;", [BASH_LINE]),
        (b":uid:1000;", [SH_LINE]),
        (b":gid:1001;euid:1002;egid:1003;", [SH_LINE]),
        (b":gid:1001;euid:1002;egid:0;", []),
        (b":triple:i386-pc-linux-gnu;", [BASH_LINE]),
    ],
)
def test_processes_by_what_they_are(stub: Stub, wanted: bytes, lines: list[bytes]) -> None:
    """The list ends with an error."""
    following = [b"qsProcessInfo"] * len(lines)
    transcript(stub, zip([b"qfProcessInfo" + wanted, *following], [*lines, b"E02"], strict=True))


def test_other_users_processes_are_left_out_on_request(stub: Stub, target: FakeTarget) -> None:
    ask(stub, b"qfProcessInfo:all_users:0;")
    assert target.host.all_users is False
    ask(stub, b"qfProcessInfo:all_users:1;")
    assert target.host.all_users is True


@pytest.mark.parametrize(
    "wanted",
    [b"name:zz;", b"name:7368;name_match:like;", b"pid:x;", b"colour:1;", b"pid", b"name:28;name_match:regex;"],
)
def test_what_cannot_be_matched_is_an_error(stub: Stub, wanted: bytes) -> None:
    transcript(stub, [(b"qfProcessInfo:" + wanted, b"E22"), (b"qsProcessInfo", b"E02")])


def test_names_of_ids(stub: Stub) -> None:
    transcript(
        stub,
        [
            (b"qUserName:0", b"726f6f74"),
            (b"qUserName:7", b"E02"),
            (b"qUserName:a", b"E22"),
            (b"qGroupName:0", b"726f6f74"),
            (b"qGroupName:7", b"E02"),
        ],
    )


PROGRAM = ModuleDetails("/bin/prog", "x86_64-pc-linux-gnu", bytes.fromhex("00af"), 0x4AC0)


def test_modules(stub: Stub, target: FakeTarget) -> None:
    target.host.modules["/p"] = PROGRAM
    transcript(
        stub,
        [
            (
                b"qModuleInfo:2f70;" + b"x86_64-pc-linux".hex().encode(),
                (
                    b"uuid:30304146;triple:7838365f36342d70632d6c696e75782d676e75;file_path:2f62696e2f70726f67;"
                    b"file_offset:0000000000000000;file_size:0000000000004ac0;"
                ),
            ),
            (b"qModuleInfo:2f70;" + b"i386-pc-linux".hex().encode(), b"E02"),
            (b"qModuleInfo:2f71;", b"E02"),
            (b"qModuleInfo:2f70", b"E22"),
            (b"qModuleInfo:2f00;", b"E22"),
            (b"qModuleInfo:zz;", b"E22"),
        ],
    )


def test_a_module_without_build_id_has_no_uuid(stub: Stub, target: FakeTarget) -> None:
    target.host.modules["/p"] = PROGRAM._replace(build_id=b"")
    reply = ask(stub, b"qModuleInfo:2f70;")
    assert reply is not None
    assert reply.startswith(b"triple:")


def test_several_modules_in_json(stub: Stub, target: FakeTarget) -> None:
    target.host.modules["/p"] = PROGRAM
    asked = [{"file": "/p", "triple": "x86_64-pc-linux-gnu"}, {"file": "/q", "triple": ""}]
    reply = ask(stub, b"jModulesInfo:" + json.dumps(asked).replace("}", "}]").encode())
    assert reply is not None
    assert json.loads(unescape(reply)) == [
        {
            "uuid": "00AF",
            "triple": "x86_64-pc-linux-gnu",
            "file_path": "/bin/prog",
            "file_offset": 0,
            "file_size": 0x4AC0,
        }
    ]


@pytest.mark.parametrize("args", [b"", b"[", b"7", b"[7]", b'[{"triple":""}]', b"null", b'[{"file":"\xff"}]'])
def test_modules_that_are_not_json(stub: Stub, args: bytes) -> None:
    assert ask(stub, b"jModulesInfo:" + args) == b"E22"
