"""Bars on a logarithmic scale, written as SVG."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WIDTH = 860
LABELS = 270  # pixels for the names of the rows
VALUES = 50  # and for the numbers beside the bars
BAR = 9
ROW = 2 * BAR + 10
TOP = 70
TICKS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
COLOURS = ("#3465a4", "#8fb3dd")
GOAL = "#c17d11"


class Bar(NamedTuple):
    """A ratio, None if there is none, and the most that it may be."""

    ratio: float | None
    goal: float | None


class Group(NamedTuple):
    """One row of the chart."""

    label: str
    bars: tuple[Bar, ...]


def chart(title: str, names: Sequence[str], groups: Sequence[Group]) -> str:
    """An SVG document. `names` are those of the bars in each group; a bar ends at its ratio and begins at 1."""
    scale = _Scale([number for group in groups for bar in group.bars for number in bar if number])
    height = TOP + ROW * len(groups) + 10
    size = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="white"/>',
        _text(10, 20, title, size=14),
        *_legend(names),
        *_axis(scale, height),
    ]
    for number, group in enumerate(groups):
        lines += _group(scale, TOP + ROW * number, group)
    return "\n".join([*lines, "</svg>", ""])


class _Scale:
    """From ratios to pixels."""

    def __init__(self, numbers: Sequence[float]) -> None:
        low, high = min([0.5, *numbers]), max([2, *numbers])
        self.ticks = [tick for tick in TICKS if low / 2.5 <= tick <= high * 2.5]
        self._least, self._most = math.log(min(low, self.ticks[0])), math.log(max(high, self.ticks[-1]))

    def __call__(self, ratio: float) -> float:
        part = (math.log(ratio) - self._least) / (self._most - self._least)
        return LABELS + part * (WIDTH - LABELS - VALUES)


def _legend(names: Sequence[str]) -> Iterator[str]:
    x = LABELS
    for colour, name in zip(COLOURS, names, strict=False):
        yield _rectangle(x, 32, 12, BAR, colour)
        yield _text(x + 16, 40, name)
        x += 175
    yield _rectangle(x + 5, 31, 2, BAR + 2, GOAL)
    yield _text(x + 16, 40, "at most")


def _axis(scale: _Scale, height: int) -> Iterator[str]:
    for tick in scale.ticks:
        colour = "#555" if tick == 1 else "#ddd"
        x = scale(tick)
        yield f'<line x1="{x:.1f}" y1="{TOP - 8}" x2="{x:.1f}" y2="{height - 8}" stroke="{colour}"/>'
        yield _text(x, TOP - 12, f"{tick:g}", anchor="middle", colour="#555")


def _group(scale: _Scale, top: int, group: Group) -> Iterator[str]:
    yield _text(LABELS - 10, top + BAR + 4, group.label, anchor="end")
    for number, (bar, colour) in enumerate(zip(group.bars, COLOURS, strict=False)):
        y = top + BAR * number
        if bar.ratio is None:
            yield _text(scale(1) + 4, y + BAR - 1, "not served", size=9, colour="#888")
            continue
        start, end = sorted((scale(1), scale(bar.ratio)))
        yield _rectangle(start, y, max(end - start, 1), BAR - 1, colour)
        beyond = scale(bar.ratio) + 4 if bar.ratio >= 1 else scale(1) + 4
        yield _text(beyond, y + BAR - 1, f"{bar.ratio:.2f}", size=9)
        if bar.goal is not None:
            yield _rectangle(scale(bar.goal) - 1, y - 1, 2, BAR + 1, GOAL)


def _rectangle(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'


def _text(x: float, y: float, text: str, *, size: int = 11, anchor: str = "start", colour: str = "#000") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'
    )
