"""A self-contained HTML page made of sections: figures, pictures, videos and tables, all inside the one file."""
import base64
import dataclasses
import io
import mimetypes
import os
import pathlib
import re

import jinja2
import markupsafe
from matplotlib import rc_context

TEMPLATE = 'page.html.j2'
# matplotlib's default ink, paper, grid and legend edge, as the page's own variables: a figure then follows light and dark
COLOURS = {'#000000': 'var(--ink)', '#ffffff': 'var(--paper)', '#b0b0b0': 'var(--rule)', '#cccccc': 'var(--rule)'}


BOX, INSIDE, LINE, GAP = (96, 78), (88, 50), 9, 7  # points: of what a mark shows, its picture, a line of its text; distance to the mark
LETTERS = 22  # of a mark's text that fit


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mark:
    """A point of a figure, at (x, y) in data coordinates; pointed at, it shows a picture (JPEG bytes), a name and one line more."""
    x: float
    y: float
    name: str
    detail: str
    picture: bytes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Picture:
    """A JPEG with a name and a value below it."""
    jpeg: bytes
    name: str
    value: str = ''


class Page:
    """A page under construction; its parts appear in the order of the calls, figures side by side where the screen is wide.

    All text is escaped. Nothing is loaded from elsewhere: the file can be mailed.
    """

    def __init__(self, title, subtitle=''):
        self.title, self.subtitle, self.sections, self.shared = title, subtitle, [], {}

    def section(self, title, text=''):
        """Starts a section; what follows belongs to it."""
        self.sections.append({'id': f's{len(self.sections)}', 'title': title, 'parts': []})
        if text:
            self.text(text)

    def text(self, text):
        """A paragraph."""
        self._add('text', text=text)

    def facts(self, facts):
        """Headline numbers: {label: value}, shown large."""
        self._add('facts', facts=facts)

    def figure(self, figure, caption, alt, marks=()):
        """A matplotlib Figure as vector graphics, in the page's own colours and type; `alt` says what is seen.

        marks: points of the figure's first axes that can be pointed at or reached with the Tab key, without any script.
        """
        place = f'{len(self.sections)}.{len(self._parts)}'
        picture = _svg(figure, alt, salt=place)
        if marks:
            picture = _with_marks(picture, figure, marks, [self._share(mark.picture) for mark in marks])
        self._add('figure', picture=picture, caption=caption, marks=len(marks), after=f'after{place}')

    def multiples(self, figures):
        """Small figures side by side: (Figure, caption, alt) each."""
        place = f'{len(self.sections)}.{len(self._parts)}'
        self._add('multiples', figures=[{'picture': _svg(figure, alt, salt=f'{place}.{number}'), 'caption': caption}
                                        for number, (figure, caption, alt) in enumerate(figures)])

    def pictures(self, title, pictures, strips=False):
        """Pictures under a title: small ones side by side, or strips below each other, where the screen is wide half of it."""
        self._add('pictures', title=title, strips=strips, pictures=[
            {'source': _jpeg_uri(one.jpeg), 'name': one.name, 'value': one.value} for one in pictures])

    def image(self, path, caption, alt):
        """A picture file, in a row of its own."""
        self._add('image', source=_data_uri(path), caption=caption, alt=alt)

    def video(self, path, caption):
        """A video file that plays silently in a loop; videos that follow each other share a row."""
        clip = {'source': _data_uri(path), 'caption': caption}
        if self._parts and self._parts[-1]['kind'] == 'videos':
            self._parts[-1]['clips'].append(clip)
        else:
            self._add('videos', clips=[clip])

    def table(self, rows, header):
        """Rows of cells under a header; numbers (int, float) are aligned right and shown with four digits."""
        self._add('table', header=header, rows=[[_cell(value) for value in row] for row in rows])

    def code(self, text, summary):
        """Preformatted text, folded away behind its summary."""
        self._add('code', text=text, summary=summary)

    def render(self):
        """The page as a str."""
        loader = jinja2.FileSystemLoader(pathlib.Path(__file__).parent)
        environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
                                         lstrip_blocks=True)
        return environment.get_template(TEMPLATE).render(page=self, inside=INSIDE)

    def write(self, path):
        """Writes the page, by an atomic rename."""
        temporary = pathlib.Path(f'{path}.tmp')
        temporary.write_text(self.render(), encoding='utf-8')
        os.replace(temporary, path)

    def _share(self, jpeg):
        """The id of a picture that figures refer to, and that the page holds once."""
        return self.shared.setdefault(_jpeg_uri(jpeg), f'shared{len(self.shared)}')

    @property
    def _parts(self):
        return self.sections[-1]['parts']

    def _add(self, kind, **part):
        self._parts.append({'kind': kind, **part})


def _svg(figure, alt, salt):
    buffer = io.StringIO()
    with rc_context({'svg.fonttype': 'none', 'svg.hashsalt': salt}):  # salt: ids of two figures in one page must differ
        figure.savefig(buffer, format='svg', transparent=True, metadata=dict.fromkeys(('Creator', 'Date', 'Format', 'Type')))
    svg = buffer.getvalue()
    svg = re.sub(r'#[0-9a-f]{6}(?=["; ])', lambda colour: COLOURS.get(colour[0], colour[0]), svg[svg.index('<svg'):])
    label = markupsafe.escape(alt)
    return markupsafe.Markup(re.sub(r' width="[^"]*"| height="[^"]*"', '', svg, count=2).replace(
        '<svg', f'<svg role="img" aria-label="{label}"', 1))


def _with_marks(svg, figure, marks, ids):
    """The svg with its marks as a last layer: what one shows lies above all points, and no mark above hides it, being transparent."""
    axes, scale = figure.axes[0], 72 / figure.dpi
    width, height = 72 * figure.get_size_inches()
    at = axes.transData.transform([(mark.x, mark.y) for mark in marks]) * scale
    groups = [_mark(mark, picture, x, height - y, width, height) for mark, picture, (x, y) in zip(marks, ids, at, strict=True)]
    head = str(svg).replace('role="img"', 'role="group"', 1).rpartition('</svg>')[0]
    return markupsafe.Markup('').join([markupsafe.Markup(head), *groups, markupsafe.Markup('</svg>\n')])


def _mark(mark, picture, x, y, width, height):
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
    """The end of a long name, which is what tells it from others."""
    return name if len(name) <= LETTERS else '…' + name[1 - LETTERS:]


def _jpeg_uri(data):
    return f'data:image/jpeg;base64,{base64.b64encode(data).decode()}'


def _data_uri(path):
    kind = mimetypes.guess_type(path)[0]
    return f'data:{kind};base64,{base64.b64encode(pathlib.Path(path).read_bytes()).decode()}'


def _cell(value):
    if isinstance(value, float):
        return {'text': f'{value:.4g}', 'number': True}
    return {'text': str(value), 'number': isinstance(value, int) and not isinstance(value, bool)}
