"""A self-contained HTML page made of sections: figures, pictures, videos and tables, all inside the one file."""
import base64
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


class Page:
    """A page under construction; its parts appear in the order of the calls, figures side by side where the screen is wide.

    All text is escaped. Nothing is loaded from elsewhere: the file can be mailed.
    """

    def __init__(self, title, subtitle=''):
        self.title, self.subtitle, self.sections = title, subtitle, []

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

    def figure(self, figure, caption, alt):
        """A matplotlib Figure as vector graphics, in the page's own colours and type; `alt` says what is seen."""
        self._add('figure', picture=_svg(figure, alt, salt=f'{len(self.sections)}.{len(self._parts)}'), caption=caption)

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
        return environment.get_template(TEMPLATE).render(page=self)

    def write(self, path):
        """Writes the page, by an atomic rename."""
        temporary = pathlib.Path(f'{path}.tmp')
        temporary.write_text(self.render(), encoding='utf-8')
        os.replace(temporary, path)

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


def _data_uri(path):
    kind = mimetypes.guess_type(path)[0]
    return f'data:{kind};base64,{base64.b64encode(pathlib.Path(path).read_bytes()).decode()}'


def _cell(value):
    if isinstance(value, float):
        return {'text': f'{value:.4g}', 'number': True}
    return {'text': str(value), 'number': isinstance(value, int) and not isinstance(value, bool)}
