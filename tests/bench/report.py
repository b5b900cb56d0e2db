# SPDX-License-Identifier: AGPL-3.0-or-later
"""Rows as a line of text, as Markdown and as a chart."""

import os
import pathlib
from xml.sax.saxutils import escape

LINE = 26
LEFT, BAR, RIGHT = 360, 300, 250


def number(value: float) -> str:
    if value == int(value) or value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 100 else f"{value:.2f}"


def measured(row) -> str:
    text = f"{number(row.ours)} {row.unit}".strip()
    if row.ratio is not None:
        text += f" / {number(row.reference)} = {row.ratio:.2f}"
    return text


def target(row) -> str:
    if row.target is None:
        return ""
    if row.target < 1 and row.unit == "":
        return "none"
    return f"at most {number(row.target)}"


def line(row) -> str:
    parts = (f"  {row.what:52}", f"{measured(row):34}", f"{target(row):14}",
             row.note)
    return " ".join(parts).rstrip()


def markdown(rows) -> str:
    lines = ["| case | measured | target |", "|---|---|---|"]
    for row in rows:
        note = f" ({row.note})" if row.note else ""
        lines.append(f"| {row.what} | {measured(row)}{note} | {target(row)} |")
    return "\n".join(lines) + "\n"


def bar(row, y: int) -> str:
    """The part of the target that was used; the mark is the target itself."""
    width = min(row.of_target, 1.25) / 1.25 * BAR
    colour = "#2a7f62" if row.of_target <= 1 else "#b3452f"
    return (
        f'<text x="{LEFT - 8}" y="{y + 14}" text-anchor="end">'
        f'{escape(row.what)}</text>'
        f'<rect x="{LEFT}" y="{y + 3}" width="{width:.1f}" height="14" '
        f'fill="{colour}"/>'
        f'<text x="{LEFT + BAR + 8}" y="{y + 14}">{escape(measured(row))}'
        f'</text>')


def chart(rows) -> str:
    rows = [row for row in rows if row.of_target is not None]
    height = LINE * (len(rows) + 2)
    mark = LEFT + BAR / 1.25
    bars = "\n".join(bar(row, LINE * (i + 1)) for i, row in enumerate(rows))
    width = LEFT + BAR + RIGHT
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" '
        f'height="{height}" font-family="sans-serif" font-size="12" '
        f'viewBox="0 0 {width} {height}">\n'
        '<!-- SPDX-License-Identifier: AGPL-3.0-or-later -->\n'
        f'<rect width="{width}" height="{height}" fill="#fff"/>\n'
        f'{bars}\n'
        f'<path d="M{mark} {LINE - 4}V{height - LINE}" stroke="#333" '
        f'stroke-dasharray="3 3"/>\n'
        f'<text x="{mark}" y="{LINE - 8}" text-anchor="middle">target</text>\n'
        f'</svg>\n')


def describe_machine() -> str:
    info = pathlib.Path("/proc/cpuinfo").read_text()
    model = info.partition("model name")[2].partition(":")[2]
    memory = pathlib.Path("/proc/meminfo").read_text().split()[1]
    return (f"{os.cpu_count()} x {model.splitlines()[0].strip()}, "
            f"{int(memory) >> 20} GiB, Linux {os.uname().release}")
