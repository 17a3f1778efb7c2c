"""The picture of mutants killed against seconds spent, as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Curve", "drawn"]

WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 20, 50
COLOURS = ("#1f7a4d", "#b5542b")
# Seconds are drawn on a logarithmic scale: kills differ by a factor of a hundred.
TICKS_SECONDS = (0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)


@dataclass(frozen=True, slots=True)
class Curve:
    """After how many seconds each mutant was killed, in order; those never killed are missing."""

    name: str
    seconds: tuple[float, ...]

    def kills_within(self, moment: float) -> int:
        """Return how many were killed by then."""
        return sum(each <= moment for each in self.seconds)


@dataclass(frozen=True, slots=True)
class Scale:
    """Where a number of seconds and a number of mutants stand in the picture."""

    last_second: float
    count: int

    def x(self, seconds: float) -> float:
        """Return the distance from the left for a moment; all before the first tick are there."""
        first = TICKS_SECONDS[0]
        part = math.log(max(seconds, first) / first) / math.log(self.last_second / first)
        return round(LEFT + part * (WIDTH - LEFT - RIGHT), 1)

    def y(self, kills: int) -> float:
        """Return the distance from the top for a number of mutants."""
        return round(HEIGHT - BOTTOM - kills / self.count * (HEIGHT - TOP - BOTTOM), 1)


def drawn(curves: Sequence[Curve], count: int) -> str:
    """Return the curves of ``count`` mutants as the text of an SVG file."""
    latest = max((second for curve in curves for second in curve.seconds), default=1.0)
    last = next((tick for tick in TICKS_SECONDS[1:] if tick >= latest), TICKS_SECONDS[-1])
    scale = Scale(last, count)
    label = 'role="img" aria-label="Mutants killed against seconds spent"'
    size = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} {label}>',
            "<style>text { font: 13px sans-serif; fill: #333 }</style>",
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
            *_axes(scale),
            *(line for n, curve in enumerate(curves) for line in _line(curve, n, scale)),
            "</svg>\n",
        ]
    )


def _axes(scale: Scale) -> Iterator[str]:
    for tick in TICKS_SECONDS:
        if tick <= scale.last_second:
            x, bottom = scale.x(tick), scale.y(0)
            yield f'<path d="M{x} {TOP}V{bottom}" stroke="#e5e5e5"/>'
            yield f'<text x="{x}" y="{bottom + 18}" text-anchor="middle">{tick:g}</text>'
    for kills in sorted({0, scale.count // 4, scale.count // 2, scale.count}):
        y = scale.y(kills)
        yield f'<path d="M{LEFT} {y}H{WIDTH - RIGHT}" stroke="#e5e5e5"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{kills}</text>'
    yield f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 10}" text-anchor="end">seconds</text>'
    yield f'<text x="{LEFT}" y="{HEIGHT - 10}">mutants killed, of {scale.count}</text>'


def _line(curve: Curve, number: int, scale: Scale) -> Iterator[str]:
    colour, bottom = COLOURS[number], scale.y(0)
    steps = (f"H{scale.x(s)}V{scale.y(kills)}" for kills, s in enumerate(curve.seconds, 1))
    path = f"M{LEFT} {bottom}{''.join(steps)}H{WIDTH - RIGHT}"
    yield f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
    y = bottom - 34 + 20 * number
    yield f'<path d="M{WIDTH - 230} {y - 4}h24" stroke="{colour}" stroke-width="2"/>'
    yield f'<text x="{WIDTH - 200}" y="{y}">{curve.name}</text>'
