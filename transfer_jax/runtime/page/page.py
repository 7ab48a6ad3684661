"""Page: an HTML page made of sections, in the order of the calls; its template is page.html.j2."""
import base64
import dataclasses
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jinja2
from matplotlib.figure import Figure

from transfer_jax.runtime.files import write_atomically
from transfer_jax.runtime.page.svg import INSIDE, Mark, add_marks, to_svg
from transfer_jax.runtime.paths import AnyPath, path_of

TEMPLATE = 'page.html.j2'

@dataclasses.dataclass(frozen=True, kw_only=True)
class Picture:
    """A JPEG with a name and a value below it."""
    jpeg: bytes
    name: str
    value: str = ''


class Page:
    """A page whose parts appear in the order of the calls, figures side by side where the screen is wide.

    All text is escaped. The page loads nothing from elsewhere: the file can be mailed.
    """

    def __init__(self, title: str, subtitle: str = ''):
        self.title, self.subtitle, self.sections, self.shared = title, subtitle, [], {}

    def section(self, title: str, text: str = '') -> None:
        """Starts a section; what follows belongs to it."""
        self.sections.append({'id': f's{len(self.sections)}', 'title': title, 'parts': []})
        if text:
            self.text(text)

    def text(self, text: str) -> None:
        """A paragraph."""
        self._add('text', text=text)

    def facts(self, facts: Mapping[str, Any]) -> None:
        """Headline numbers: {label: value}, shown large."""
        self._add('facts', facts=facts)

    def figure(self, figure: Figure, caption: str, alt: str, marks: Sequence[Mark] = ()) -> None:
        """A matplotlib Figure as vector graphics, in the page's own colours and type; `alt` describes it for a screen reader.

        marks: points of the figure's first axes that can be pointed at or reached with the Tab key, without any script.
        """
        place = f'{len(self.sections)}.{len(self._parts)}'
        picture = to_svg(figure, alt, salt=place)
        if marks:
            picture = add_marks(picture, figure, marks, [self._share(mark.picture) for mark in marks])
        self._add('figure', picture=picture, caption=caption, marks=len(marks), after=f'after{place}')

    def multiples(self, figures: Iterable[tuple[Figure, str, str]]) -> None:
        """Small figures side by side, each as (Figure, caption, alt)."""
        place = f'{len(self.sections)}.{len(self._parts)}'
        self._add('multiples', figures=[{'picture': to_svg(figure, alt, salt=f'{place}.{number}'), 'caption': caption}
                                        for number, (figure, caption, alt) in enumerate(figures)])

    def pictures(self, title: str, pictures: Iterable[Picture], strips: bool = False) -> None:
        """Pictures under a title: small ones side by side, or (strips) one below the other; on a wide screen they take half of it."""
        self._add('pictures', title=title, strips=strips, pictures=[
            {'source': _jpeg_uri(one.jpeg), 'name': one.name, 'value': one.value} for one in pictures])

    def video(self, webm: bytes, caption: str, *, poster: bytes, labels: Sequence[str] = (), pixelated: bool = False) -> None:
        """A video that plays silently in a loop; videos that follow each other share rows.

        poster: a JPEG that stands there until it plays, and on paper. labels: headings of equal parts of its width. pixelated: it is
        enlarged without blur.
        """
        clip = {'source': f'data:video/webm;base64,{base64.b64encode(webm).decode()}', 'poster': _jpeg_uri(poster), 'caption': caption,
                'labels': labels, 'pixelated': pixelated}
        if self._parts and self._parts[-1]['kind'] == 'videos' and self._parts[-1]['wide'] == bool(labels):
            self._parts[-1]['clips'].append(clip)
        else:
            self._add('videos', clips=[clip], wide=bool(labels))

    def table(self, rows: Iterable[Iterable[Any]], header: Sequence[str]) -> None:
        """Rows of cells under a header; numbers (int, float) stand on the right, floats with four digits."""
        self._add('table', header=header, rows=[[_cell(value) for value in row] for row in rows])

    def code(self, text: str, summary: str) -> None:
        """Preformatted text, folded away behind its summary."""
        self._add('code', text=text, summary=summary)

    def render(self) -> str:
        """The page as a str."""
        loader = jinja2.FileSystemLoader(pathlib.Path(__file__).parent)
        environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
                                         lstrip_blocks=True)
        return environment.get_template(TEMPLATE).render(page=self, inside=INSIDE)

    def write(self, path: str | AnyPath) -> None:
        """Writes the page, all or nothing."""
        write_atomically(path_of(path), self.render().encode())

    def _share(self, jpeg):
        """The id of a picture that figures refer to, and that the page holds once."""
        return self.shared.setdefault(_jpeg_uri(jpeg), f'shared{len(self.shared)}')

    @property
    def _parts(self):
        return self.sections[-1]['parts']

    def _add(self, kind, **part):
        self._parts.append({'kind': kind, **part})


def _jpeg_uri(data):
    return f'data:image/jpeg;base64,{base64.b64encode(data).decode()}'


def _cell(value):
    if isinstance(value, float):
        return {'text': f'{value:.4g}', 'number': True}
    return {'text': str(value), 'number': isinstance(value, int) and not isinstance(value, bool)}
