"""The benchmark still works. What it measures is no business of the tests."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benchmarks.chart import Bar, Group, chart
from benchmarks.operations import FEWER, NO_MORE
from benchmarks.peers import ours
from benchmarks.report import verdict
from benchmarks.rounds import Key, Results
from benchmarks.rows import ROWS

ROOT = Path(__file__).resolve().parents[2]
SVG = "{http://www.w3.org/2000/svg}"


def test_it_measures_our_server(tmp_path: Path) -> None:
    line = ["--only", "empty,step,range", "--quick", "--placements", "bound", "--peers", "ours"]
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks", *line, "--output", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    lines = (tmp_path / "benchmarks.md").read_text().splitlines()
    figures = {cells[1].strip(): cells[2].strip() for cells in (line.split("|") for line in lines) if len(cells) > 3}
    for row in ("empty packet", "step", "range step, an instruction of 20"):
        assert figures[row].endswith(" us")
    assert ET.parse(tmp_path / "benchmarks.svg").getroot().tag == f"{SVG}svg"


def test_a_failure_is_told_and_ends_with_one() -> None:
    line = ["--only", "no-such-row"]
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks", *line], cwd=ROOT, capture_output=True, text=True, timeout=50, check=False
    )
    assert result.returncode == 1
    assert "there is no row no-such-row" in result.stderr


@pytest.mark.parametrize(("own", "met"), [(59.0, True), (66.0, False)])
def test_a_row_is_judged_by_its_best_time_against_the_best_peer(own: float, met: bool) -> None:
    (row,) = (row for row in ROWS if row.name == "step")
    peers = [ours(), ours(name="good"), ours(name="bad")]
    results = Results()
    for name, times in (("ours", [900.0, own]), ("good", [100.0, 300.0]), ("bad", [200.0, 200.0])):
        results.times[Key("step", "bound", name)] = [(time, 2 * time) for time in times]
    assert verdict(results, row, "bound", peers) == (own / 100, own / 100, 0.65, met)


def test_what_failed_once_has_no_figure() -> None:
    key = Key("step", "bound", "ours")
    results = Results()
    results.take(key, ["10", "20"])
    results.take(key, ["failed", "no", "reply"])
    assert results.best(key) is None
    assert results.failures == {key: "no reply"}


def test_fewer_packets_are_fewer_than_as_many() -> None:
    assert NO_MORE.met_by(1)
    assert not FEWER.met_by(1)


def test_the_bars_of_a_chart_begin_at_one() -> None:
    text = chart("title", ("bound",), [Group("slow & late", (Bar(4, 0.5),)), Group("none", (Bar(None, None),))])
    root = ET.fromstring(text)
    words = [element.text for element in root.iter(f"{SVG}text")]
    assert {"title", "slow & late", "4.00", "not served"} <= set(words)
    (line,) = (element for element in root.iter(f"{SVG}line") if element.get("stroke") == "#555")
    assert any(element.get("x") == line.get("x1") for element in root.iter(f"{SVG}rect"))
