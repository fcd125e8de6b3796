"""The log, where it cannot be written: what it tells of goes on without it."""

from __future__ import annotations

import os

from debugserver.server.log import Log
from debugserver.stub.settings import Settings


def logging(file: str) -> tuple[Log, list[str]]:
    """A log of all, and what the person at the terminal is told."""
    settings, told = Settings(), list[str]()
    settings.debug = {"remote", "threads"}
    settings.debug_file = file
    settings.announce = told.append
    return Log(settings), told


def test_a_full_file_is_told_of_once() -> None:
    log, told = logging("/dev/full")
    log.text("threads", "one %s", "line")
    log.bytes("remote", "sent", b"another")
    log.close()
    assert told == ["Cannot write debug file /dev/full: No space left on device"]


def test_nobody_reads_standard_error() -> None:
    log, told = logging("")
    reader, writer = os.pipe()
    os.close(reader)
    before = os.dup(2)
    os.dup2(writer, 2)
    try:
        log.text("threads", "one %s", "line")
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(writer)
    assert told == []


def test_a_name_that_is_no_text_is_logged(tmp_path: os.PathLike[str]) -> None:
    file = os.path.join(tmp_path, "log")
    log, _ = logging(file)
    log.text("threads", "run %s", os.fsdecode(b"\xff"))
    log.close()
    with open(file) as written:
        assert written.read() == "[threads] run \\udcff\n"
