"""A matplotlib figure as SVG in the page's colours, with marks that show a picture when they are pointed at."""
import dataclasses
import io
import re
from collections.abc import Sequence

import markupsafe
from matplotlib import rc_context
from matplotlib.figure import Figure

# matplotlib's default ink, paper, grid and legend edge, as the page's own variables: a figure then follows light and dark
COLOURS = {'#000000': 'var(--ink)', '#ffffff': 'var(--paper)', '#b0b0b0': 'var(--rule)', '#cccccc': 'var(--rule)'}

# in points: the box that a mark opens, the picture in it, the height of a line of its text, the distance from the mark to the box
BOX, INSIDE, LINE, GAP = (96, 78), (88, 50), 9, 7
LETTERS = 22  # so many letters of a mark's text fit into its box


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mark:
    """A point of a figure at (x, y) in data coordinates. Pointed at, it shows a picture (JPEG bytes), a name and one line more."""
    x: float
    y: float
    name: str
    detail: str
    picture: bytes


def to_svg(figure: Figure, alt: str, salt: str) -> markupsafe.Markup:
    """The figure as an <svg> element with `alt` as its label; salt: differs from figure to figure of a page, for their ids must differ."""
    buffer = io.StringIO()
    with rc_context({'svg.fonttype': 'none', 'svg.hashsalt': salt}):
        figure.savefig(buffer, format='svg', transparent=True, metadata=dict.fromkeys(('Creator', 'Date', 'Format', 'Type')))
    svg = buffer.getvalue()
    svg = re.sub(r'#[0-9a-f]{6}(?=["; ])', lambda colour: COLOURS.get(colour[0], colour[0]), svg[svg.index('<svg'):])
    label = markupsafe.escape(alt)
    return markupsafe.Markup(re.sub(r' width="[^"]*"| height="[^"]*"', '', svg, count=2).replace(
        '<svg', f'<svg role="img" aria-label="{label}"', 1))


def add_marks(svg: markupsafe.Markup, figure: Figure, marks: Sequence[Mark], ids: Sequence[str]) -> markupsafe.Markup:
    """The svg with its marks as a last layer: a mark's box lies above all points, and no mark hides it, since marks are transparent.

    ids: of the marks' pictures in the page.
    """
    axes, scale = figure.axes[0], 72 / figure.dpi
    width, height = 72 * figure.get_size_inches()
    places = axes.transData.transform([(mark.x, mark.y) for mark in marks]) * scale
    groups = [_mark(mark, picture, x, height - y, width, height) for mark, picture, (x, y) in zip(marks, ids, places, strict=True)]
    head = str(svg).replace('role="img"', 'role="group"', 1).rpartition('</svg>')[0]
    return markupsafe.Markup('').join([markupsafe.Markup(head), *groups, markupsafe.Markup('</svg>\n')])


def _mark(mark, picture, x, y, width, height):
    """The <g> of one mark at (x, y) in points from the top left of a figure of this width and height."""
    left = x + GAP if x + GAP + BOX[0] < width else max(0, x - GAP - BOX[0])
    top = min(max(0, y - BOX[1] / 2), height - BOX[1])
    pad = (BOX[0] - INSIDE[0]) / 2
    below = top + pad + INSIDE[1] + LINE
    return markupsafe.Markup(
        '<g class="mark" tabindex="0" role="img" aria-label="{}, {}"><circle cx="{:.1f}" cy="{:.1f}" r="5"/><g>'
        '<rect x="{:.1f}" y="{:.1f}" width="{}" height="{}" rx="3"/><use href="#{}" x="{:.1f}" y="{:.1f}"/>'
        '<text x="{:.1f}" y="{:.1f}">{}</text><text class="soft" x="{:.1f}" y="{:.1f}">{}</text></g></g>\n').format(
        mark.name, mark.detail, x, y, left, top, *BOX, picture, left + pad, top + pad, left + pad, below, _end(mark.name),
        left + pad, below + LINE, mark.detail)


def _end(name):
    """The end of a long name: names of clips differ at their end."""
    return name if len(name) <= LETTERS else '…' + name[1 - LETTERS:]
