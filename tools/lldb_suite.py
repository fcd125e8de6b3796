"""LLVM's own packet tests (lldb/test/API/tools/lldb-server) on lldb-server and on debugserver, and what became of each.

    python -m tools.lldb_suite [--server COMMAND ...] [--only PATTERN] [--report]

The tests come from Debian's source package of LLVM, which `apt-get source` fetches (165 MB) into build/lldb-suite from
where the machine has its own packages, and are run with the packages `lldb-for-pwndbg` and `gcc`. Nothing of them is
kept in the repository. Without network, unpack the package's `lldb` folder to build/lldb-suite/lldb. With --report,
docs/lldb-suite.md is written.
"""

from __future__ import annotations

import argparse
import glob
import os
import platform
import re
import shlex
import subprocess
import sys
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "build" / "lldb-suite"
LLDB = WORK / "lldb"
PAGE = ROOT / "docs" / "lldb-suite.md"

_PACKAGE = "llvm-toolchain-19"
_NEEDED = ("use_lldb_suite_root.py", "packages", "test/API/dotest.py", "test/API/use_lldb_suite.py",
           "test/API/tools/lldb-server")  # fmt: skip
_DEADLINE = 3600
"""Seconds for all tests on one server."""
_CANNOT_RUN_FOREVER = 90

# The suite looks for lldb-server beside LLDB's library; a test without a bound of its own must not stop all others.
_DRIVER = """\
import faulthandler, os, shutil, sys
which = shutil.which
shutil.which = lambda name, *a, **k: os.environ["LLDB_SUITE_SERVER"] if name == "lldb-server" else which(name, *a, **k)
root = sys.argv.pop(1)
sys.path.insert(0, root + "/test/API")
sys.argv[0] = root + "/test/API/dotest.py"
import signal, unittest
run = unittest.TestCase.run
def bounded(self, result=None):
    def expire(*_):
        raise TimeoutError("the test does not end")
    signal.signal(signal.SIGALRM, expire)
    signal.alarm({deadline})
    try:
        return run(self, result)
    finally:
        signal.alarm(0)
unittest.TestCase.run = bounded
import use_lldb_suite
import lldbsuite.test
lldbsuite.test.run_suite()
"""

# Nearly every test compiles the same program anew.
_COMPILER = """\
#!/bin/sh
previous= output= dependencies=
for word; do
    [ "$previous" = -o ] && output=$word
    [ "$previous" = -MF ] && dependencies=$word
    previous=$word
done
cached={cache}/$(printf '%s\\n' "$0" "$@" | md5sum | cut -c 1-32)
if [ "$output" ] && [ -f "$cached" ]; then
    [ "$dependencies" ] && : >"$dependencies"
    exec cp "$cached" "$output"
fi
{compiler} "$@" || exit
case $output in
*.o) cp "$output" "$cached.$$" && mv "$cached.$$" "$cached" ;;
esac
"""

_RESULT = re.compile(
    r"^(PASS|FAIL|XFAIL|XPASS|UNSUPPORTED|UNRESOLVED)\w*: LLDB \(\S+\) :: (\w+) \((\w+)\.", re.MULTILINE
)

Results = dict[str, str]
"""`Module.test` -> PASS, FAIL, ..."""


def fetch() -> None:
    """Bring the tests to LLDB, unless they are there."""
    if LLDB.exists():
        return
    archive = _download()
    unpacked = LLDB.with_suffix(".unfinished")
    unpacked.mkdir(exist_ok=True)
    wanted = [f"*/lldb/{path}" for path in _NEEDED]
    line = ["tar", "xf", archive, "-C", str(unpacked), "--strip-components=2", "--wildcards", *wanted]
    subprocess.run(line, check=True, timeout=1800)
    unpacked.rename(LLDB)


def _download() -> str:
    """The source package's archive, from where the machine has its own packages, with lists apart from apt's own."""
    lists, sources = WORK / "lists", WORK / "sources.list"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    sources.write_text(_sources())
    places = {"Dir::Etc::sourcelist": sources, "Dir::Etc::sourceparts": "/dev/null", "Dir::State::lists": lists}
    apt = ["apt-get", "-q", *(word for name, value in places.items() for word in ("-o", f"{name}={value}"))]
    subprocess.run([*apt, "update"], check=True, cwd=WORK, timeout=600)
    subprocess.run([*apt, "source", "--download-only", _PACKAGE], check=True, cwd=WORK, timeout=3600)
    (archive,) = glob.glob(str(WORK / f"{_PACKAGE}_*.orig.tar.xz"))
    return archive


def _sources() -> str:
    """What apt is configured to take the distribution's packages from, for sources."""
    release = platform.freedesktop_os_release()["VERSION_CODENAME"]
    line = "deb-src $(REPO_URI) $(RELEASE) $(COMPONENT)"
    command = ["apt-get", "indextargets", "--format", line, "Created-By: Packages"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    return "".join(f"{line}\n" for line in dict.fromkeys(listed.splitlines()) if f" {release} " in line)


def run(server: str, only: str) -> Results:
    """Run the tests on one server, a command up to its role (`gdbserver`)."""
    name = f"{zlib.crc32(server.encode()):08x}"
    directory = WORK / "runs" / name
    directory.mkdir(parents=True, exist_ok=True)
    script = directory / "server"
    script.write_text(
        f'#!/bin/sh\nexec env -u PYTHONHOME PYTHONPATH={ROOT / "src"} {server} "$@" 2>>{directory}/server.log\n'
    )
    script.chmod(0o755)
    (directory / "driver.py").write_text(_DRIVER.format(deadline=_CANNOT_RUN_FOREVER))
    for compiler in ("gcc", "g++"):
        cache = WORK / "objects"
        cache.mkdir(exist_ok=True)
        wrapper = WORK / compiler
        wrapper.write_text(_COMPILER.format(cache=cache, compiler=f"/usr/bin/{compiler}"))
        wrapper.chmod(0o755)
    lldb = Path(sys.executable).parent / "lldb"
    line = [
        sys.executable, directory / "driver.py", LLDB, "--executable", lldb, "--compiler", WORK / "gcc",
        "--arch", "x86_64", "--build-dir", directory / "build", "--lldb-module-cache-dir", directory / "modules",
        "--clang-module-cache-dir", directory / "clang", "-v", "--skip-category=dwo", "--skip-category=dsym",
        "--skip-category=debugserver", *(("-p", only) if only else ()), LLDB / "test" / "API" / "tools" / "lldb-server",
    ]  # fmt: skip
    environment = {**os.environ, "LLDB_SUITE_SERVER": str(script), "LLDB_DEBUGSERVER_PATH": str(script)}
    environment.pop("PYTHONHOME", None)
    log = directory / "log"
    with open(log, "wb") as output:
        subprocess.run(
            list(map(str, line)), stdout=output, stderr=subprocess.STDOUT, env=environment, timeout=_DEADLINE
        )
    return parse(log.read_text(errors="replace"))


def parse(log: str) -> Results:
    """What became of each test that is meant for lldb-server."""
    found = {f"{module}.{test}": result for result, test, module in _RESULT.findall(log)}
    return {test: result for test, result in found.items() if result != "UNSUPPORTED"}


def report(reference: Results, ours: Results) -> str:
    """The page of the documentation."""
    modules = sorted({test.partition(".")[0] for test in reference | ours})
    lines = [_HEAD]
    totals = [0, 0, 0]
    for module in modules:
        tests = [test for test in reference | ours if test.startswith(f"{module}.")]
        passed = {test for test in tests if reference.get(test) == "PASS"}
        kept = {test for test in passed if ours.get(test) == "PASS"}
        gained = {test for test in tests if ours.get(test) == "PASS"} - passed
        row = (len(passed), len(kept), len(gained))
        totals = [a + b for a, b in zip(totals, row, strict=True)]
        lines.append(f"| {module} | {row[0]} | {row[1]} | {row[2] or ''} |\n")
    lines.append(f"| all | {totals[0]} | {totals[1]} | {totals[2]} |\n")
    lost = sorted(test for test, result in reference.items() if result == "PASS" and ours.get(test) != "PASS")
    if lost:
        lines.append("\nLost:\n\n" + "".join(f"- `{test}`\n" for test in lost))
    return "".join(lines)


_HEAD = f"""# LLVM's packet tests

LLVM's own tests of lldb-server (`lldb/test/API/tools/lldb-server` of LLVM 19.1.7, Debian's package `{_PACKAGE}`),
run on lldb-server 23.1 and on `debugserver gdbserver`: `make lldb-suite`. They speak the protocol themselves and
compare replies more strictly than LLDB does. Tests that lldb-server 23 fails as well do not know its newest features.

| test | lldb-server passes | of these debugserver | debugserver alone |
| --- | --- | --- | --- |
"""


def main() -> int:
    """Run, compare, print; 1 if anything is lost."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--server", action="append", help="a server's command, in place of both")
    parser.add_argument("--only", default="", help="only test files whose names match this")
    parser.add_argument("--report", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    arguments = parser.parse_args()
    fetch()
    if arguments.server:
        for server in arguments.server:
            results = run(server, arguments.only)
            sys.stdout.write("".join(f"{result:12}{test}\n" for test, result in sorted(results.items())))
        return 0
    from tests.support.server import lldb_server

    reference = run(f"{lldb_server()}", arguments.only)
    ours = run(shlex.join([sys.executable, "-m", "debugserver"]), arguments.only)
    page = report(reference, ours)
    sys.stdout.write(page)
    if arguments.report:
        PAGE.write_text(page)
    return any(result == "PASS" and ours.get(test) != "PASS" for test, result in reference.items())


if __name__ == "__main__":
    sys.exit(main())
