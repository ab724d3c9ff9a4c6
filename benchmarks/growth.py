# SPDX-License-Identifier: GPL-3.0-or-later
"""How something grows: points in a CSV file, and a picture of what that file says.

python benchmarks/growth.py draws all pictures again.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Iterator, NamedTuple, Sequence
from xml.sax.saxutils import escape

PLACE = Path(__file__).resolve().parent / "growth"
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 360, 64, 24, 48, 56
COLUMNS = ("x", "median", "min", "max", "n")


class Point(NamedTuple):
    """What was measured n times at a place of the axis."""

    x: float
    median: float
    lowest: float
    highest: float
    n: int


class Growth(NamedTuple):
    """Points of one thing by another: the name of the files, what both axes show, when and on what it was measured."""

    name: str
    title: str
    across: str
    up: str
    where: str
    points: Sequence[Point]

    def save(self) -> None:
        """Write the points, and draw them."""
        PLACE.mkdir(exist_ok=True)
        with (PLACE / f"{self.name}.csv").open("w", encoding="utf-8", newline="") as file:
            for about in (self.title, self.across, self.up, self.where):
                file.write(f"# {about}\n")
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows([f"{value:g}" for value in point] for point in self.points)
        draw(PLACE / f"{self.name}.csv")


def read(path: Path) -> Growth:
    """Return what a file says."""
    lines = path.read_text(encoding="utf-8").splitlines()
    title, across, up, where = (line[2:] for line in lines[:4])
    points = [Point(*map(float, row[:4]), int(row[4])) for row in csv.reader(lines[5:])]
    return Growth(path.stem, title, across, up, where, points)


def steps(highest: float) -> list[float]:
    """Return the places of four to nine lines from 0 to what is at least the highest value."""
    size = 10.0 ** len(str(int(highest)))
    step = next(size / by for by in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if highest / (size / by) > 3)
    return [step * number for number in range(int(highest / step - 1e-9) + 2)]


def draw(path: Path) -> None:
    """Draw what a file says, beside it."""
    path.with_suffix(".svg").write_text("\n".join(_svg(read(path))) + "\n", encoding="utf-8")


def _svg(growth: Growth) -> Iterator[str]:
    ups, acrosses = steps(max(point.highest for point in growth.points)), steps(max(point.x for point in growth.points))

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * value / acrosses[-1]

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / ups[-1]

    def text(left: float, top: float, content: str, anchor: str = "middle", more: str = "") -> str:
        return f'<text x="{left:.1f}" y="{top:.1f}" text-anchor="{anchor}"{more}>{escape(content)}</text>'

    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'role="img" font-family="sans-serif" font-size="12" fill="#222">'
    )
    yield f"<title>{escape(growth.title)}</title>"
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
    yield text(WIDTH / 2, 24, growth.title, more=' font-size="15"')
    for value in ups:
        yield f'<path d="M{x(0):.1f} {y(value):.1f}H{x(acrosses[-1]):.1f}" stroke="#ddd"/>'
        yield text(LEFT - 8, y(value) + 4, f"{value:g}", "end")
    for value in acrosses:
        yield text(x(value), HEIGHT - BOTTOM + 18, f"{value:g}")
    yield text(WIDTH / 2, HEIGHT - 14, growth.across)
    yield text(16, HEIGHT / 2, growth.up, more=f' transform="rotate(-90 16 {HEIGHT / 2:.0f})"')
    line = "L".join(f"{x(point.x):.1f} {y(point.median):.1f}" for point in growth.points)
    yield f'<path d="M{line}" fill="none" stroke="#06c" stroke-width="2"/>'
    for point in growth.points:
        yield f'<path d="M{x(point.x):.1f} {y(point.lowest):.1f}V{y(point.highest):.1f}" stroke="#06c"/>'
        yield f'<circle cx="{x(point.x):.1f}" cy="{y(point.median):.1f}" r="4" fill="#06c"/>'
    yield "</svg>"


if __name__ == "__main__":
    for found in PLACE.glob("*.csv"):
        draw(found)
