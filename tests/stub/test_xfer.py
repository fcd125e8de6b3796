"""qXfer on the fake target: windows, snapshots, and each object's document."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from debugserver.arch import description
from debugserver.errors import NoSuchThread
from debugserver.target.capabilities import Auxv, SignalInfo
from debugserver.target.model import Libraries, Library, ThreadId
from debugserver.testing.fake_target import FAKE_ARCHITECTURE, FakeTarget
from tests.support.packets import ask, connect, transcript, unescape

if TYPE_CHECKING:
    from debugserver.stub.stub import Stub

LLDB = b"multiprocess+;swbreak+"


@pytest.fixture
def target() -> FakeTarget:
    fake = FakeTarget()
    fake.add_process(10, (10, 11))
    return fake


def read(stub: Stub, name: str, annex: str = "", chunk: int = 0x1000) -> bytes:
    """The whole object, as a client collects it."""
    content = b""
    while True:
        reply = ask(stub, f"qXfer:{name}:read:{annex}:{len(content):x},{chunk:x}".encode())
        assert reply, f"{name} got no reply"
        assert reply[:1] in (b"m", b"l"), f"{name} got {reply!r}"
        content += unescape(reply[1:])
        if reply[:1] == b"l":
            return content


def test_windows_of_an_object_with_bytes_that_need_escapes(target: FakeTarget) -> None:
    target.auxiliary = bytes(range(256))
    stub = connect(target)
    assert read(stub, "auxv", chunk=7) == target.auxiliary
    transcript(
        stub,
        [
            (b"qXfer:auxv:read::22,3", b"m\x22}\x03}\x04"),
            (b"qXfer:auxv:read::fe,2", b"l\xfe\xff"),
            (b"qXfer:auxv:read::ff,ffffffff", b"l\xff"),
            (b"qXfer:auxv:read::100,10", b"l"),
            (b"qXfer:auxv:read::101,10", b"E22"),
        ],
    )


@pytest.mark.parametrize(
    "request_", [b"", b":", b":0", b":0,", b":,10", b"::0,10", b":0,10,1", b":-1,10", b"x:0,10", b"0,10", b":0,1g"]
)
def test_malformed_windows_and_annexes(target: FakeTarget, request_: bytes) -> None:
    assert ask(connect(target), b"qXfer:auxv:read:" + request_) == b"E22"


def test_chunks_that_follow_each_other_are_of_one_snapshot(target: FakeTarget) -> None:
    stub = connect(target)
    target.auxiliary = b"first one"
    transcript(stub, [(b"qXfer:auxv:read::0,6", b"mfirst ")])
    target.auxiliary = b"second"
    transcript(
        stub,
        [
            (b"qXfer:auxv:read::6,6", b"lone"),
            (b"qXfer:auxv:read::0,3", b"msec"),
            (b"qXfer:auxv:read::4,1", b"mn"),
        ],
    )


def test_a_chunk_that_follows_nothing_is_of_the_present(target: FakeTarget) -> None:
    stub = connect(target)
    target.auxiliary = b"first one"
    transcript(stub, [(b"qXfer:auxv:read::0,2", b"mfi")])
    target.auxiliary = b"second"
    transcript(stub, [(b"qXfer:auxv:read::3,1", b"mo")])


def test_what_a_target_lacks_is_neither_served_nor_advertised() -> None:
    target = FakeTarget(without=[Auxv, SignalInfo])
    target.add_process(10)
    stub = connect(target)
    features = ask(stub, b"qSupported:vContSupported+")
    assert features is not None
    assert b"qXfer:auxv" not in features
    assert b"qXfer:siginfo" not in features
    assert b"qXfer:threads:read+" in features
    assert b"augmented-libraries-svr4-read+" in features.split(b";")
    transcript(
        stub,
        [
            (b"qXfer:auxv:read::0,10", b""),
            (b"qXfer:siginfo:write::0:x", b""),
            (b"qXfer:nonsense:read::0,10", b""),
            (b"qXfer:threads:write::0:x", b""),
        ],
    )


@pytest.mark.parametrize("annex", ["", "a"])
def test_exec_file_by_annex(target: FakeTarget, annex: str) -> None:
    target.executable = "/bin/}odd*"
    assert read(connect(target), "exec-file", annex) == b"/bin/}odd*"


@pytest.mark.parametrize(("annex", "error"), [(b"63", b"E01"), (b"xyz", b"E22")])
def test_exec_file_of_other_processes(target: FakeTarget, annex: bytes, error: bytes) -> None:
    assert ask(connect(target), b"qXfer:exec-file:read:" + annex + b":0,100") == error


def test_features(target: FakeTarget) -> None:
    stub = connect(target)
    assert read(stub, "features", "target.xml") == description.target_description(FAKE_ARCHITECTURE)
    assert ask(stub, b"qXfer:features:read:other.xml:0,100") == b"E22"


def test_threads_with_names_and_cores(target: FakeTarget) -> None:
    leader, second = target.threads(10)
    target.names[leader] = "a<&>\"'b"
    target.names[second] = "bell\x07 \udcff é"
    target.cores[second] = 11
    document = ElementTree.fromstring(read(connect(target), "threads"))
    assert document.tag == "threads"
    assert [element.attrib for element in document] == [
        {"id": "pa.a", "name": "a<&>\"'b"},
        {"id": "pa.b", "core": "11", "name": "bell? ? é"},
    ]


def test_a_thread_that_ends_while_it_is_described(target: FakeTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    def name(thread: ThreadId) -> str:
        if thread.tid == 11:
            raise NoSuchThread("gone")
        return "left"

    monkeypatch.setattr(target, "thread_name", name)
    document = ElementTree.fromstring(read(connect(target), "threads"))
    assert [element.attrib for element in document] == [{"id": "pa.a", "name": "left"}, {"id": "pa.b"}]


def test_threads_before_there_is_a_process() -> None:
    assert read(connect(FakeTarget()), "threads") == b"<threads>\n</threads>\n"


LIBRARIES = Libraries(
    0x7000,
    (
        Library("/lib/a&b.so", 0x7100, 0x10000, 0x10F00, 0x6000),
        Library("/lib/c.so", 0x7200, 0x20000, 0x20F00, 0x6000),
        Library("/lib/other.so", 0x8200, 0x30000, 0x30F00, 0x6100),
    ),
)


def test_libraries(target: FakeTarget) -> None:
    target.library_list = LIBRARIES
    document = ElementTree.fromstring(read(connect(target), "libraries-svr4"))
    assert (document.tag, document.attrib) == ("library-list-svr4", {"version": "1.0", "main-lm": "0x7000"})
    assert document[0].attrib == {
        "name": "/lib/a&b.so",
        "lm": "0x7100",
        "l_addr": "0x10000",
        "l_ld": "0x10f00",
        "lmid": "0x6000",
    }
    assert [element.attrib["lm"] for element in document] == ["0x7100", "0x7200", "0x8200"]


def test_libraries_before_the_loader_ran(target: FakeTarget) -> None:
    assert read(connect(target), "libraries-svr4") == b'<library-list-svr4 version="1.0"></library-list-svr4>'


def test_main_link_map_is_not_for_lldb(target: FakeTarget) -> None:
    target.library_list = LIBRARIES
    document = ElementTree.fromstring(read(connect(target, LLDB), "libraries-svr4"))
    assert document.attrib == {"version": "1.0"}


def test_libraries_from_a_link_map_on(target: FakeTarget) -> None:
    target.library_list = LIBRARIES
    document = ElementTree.fromstring(read(connect(target), "libraries-svr4", "start=7200;prev=7100;lmid=6000;"))
    assert [element.attrib["name"] for element in document] == ["/lib/c.so"]
    assert "main-lm" not in document.attrib


@pytest.mark.parametrize("annex", [b"start", b"start=", b"start=xyz;", b"nonsense"])
def test_malformed_library_annexes(target: FakeTarget, annex: bytes) -> None:
    assert ask(connect(target), b"qXfer:libraries-svr4:read:" + annex + b":0,100") == b"E22"


def test_siginfo_in_parts(target: FakeTarget) -> None:
    thread = target.threads(10)[0]
    target.siginfo[thread] = bytes(8)
    stub = connect(target)
    transcript(
        stub,
        [
            (b"qXfer:siginfo:write::2:ab:c", b"4"),
            (b"qXfer:siginfo:read::0,8", b"l\0\0ab:c\0\0"),
            (b"qXfer:siginfo:write::6:xyz", b"2"),
            (b"qXfer:siginfo:write::8:x", b"0"),
            (b"qXfer:siginfo:write::9:x", b"E22"),
            (b"qXfer:siginfo:write::0", b"E22"),
            (b"qXfer:siginfo:write:0:x", b"E22"),
            (b"qXfer:siginfo:write:annex:0:x", b"E22"),
            (b"qXfer:siginfo:write::zz:x", b"E22"),
        ],
    )
    assert target.siginfo[thread] == b"\0\0ab:cxy"


def test_siginfo_of_a_thread_that_has_none(target: FakeTarget) -> None:
    transcript(connect(target), [(b"qXfer:siginfo:read::0,80", b"E01"), (b"qXfer:siginfo:write::0:x", b"E01")])


def test_tables_of_the_system(target: FakeTarget) -> None:
    target.tables = {"processes": [{"pid": "1", "command": "a<b"}, {"pid": "2", "command": ""}]}
    stub = connect(target)
    table = ElementTree.fromstring(read(stub, "osdata", "processes"))
    assert (table.tag, table.attrib) == ("osdata", {"type": "processes"})
    assert [{column.attrib["name"]: column.text for column in item} for item in table] == [
        {"pid": "1", "command": "a<b"},
        {"pid": "2", "command": None},
    ]
    types = ElementTree.fromstring(read(stub, "osdata"))
    assert types.attrib == {"type": "types"}
    assert [column.text for column in types[0]] == ["processes", "The processes of the fake system", "Processes"]
    assert ask(stub, b"qXfer:osdata:read:nonsense:0,100") == b"E22"


@pytest.mark.parametrize("name", ["auxv", "exec-file", "features", "libraries-svr4", "siginfo"])
def test_objects_of_a_process_without_one(name: str) -> None:
    assert ask(connect(FakeTarget()), f"qXfer:{name}:read::0,100".encode()) == b"E01"
