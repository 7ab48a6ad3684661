"""Hooks of mkdocs: the pages outside docs/ join the site, and links to files of the repository lead to copies of them.

Links are written for a reader of the repository, relative to the page's own file. The site has the same pages under other addresses, so
each link is resolved in the repository and written again for the site. A link to a file that is not there stays, and mkdocs refuses it.
"""
import pathlib
import posixpath
import re

from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).parents[1]
OUTSIDE = {'README.md': 'index.md', 'ARCHITECTURE.md': 'architecture.md', 'CHANGELOG.md': 'changelog.md'}  # in the repository: in the site
BENCHMARKS = 'benchmarks/results'
LINK = re.compile(r'(```.*?```|`[^`\n]*`)|(\]\()([^)#\s:]+)((?:#[^)\s]*)?\))', re.DOTALL)  # code, or a relative link


def outside():
    """{path in the repository: path in the site} of the pages outside docs/."""
    results = {path.relative_to(ROOT).as_posix(): f'benchmarks/{path.name}' for path in sorted((ROOT / BENCHMARKS).glob('*.md'))}
    return OUTSIDE | results


def on_config(config):
    """The pages of the API and of the results stand in the navigation by their files."""
    docs = ROOT / 'docs'
    names = lambda folder: sorted(path.name for path in (docs / folder).glob('*.md') if path.name != 'README.md')
    api = [f'api/{name}' for name in ('README.md', *names('api')) if (docs / 'api' / name).exists()]
    results = [*(f'results/{name}' for name in names('results')), *(f'benchmarks/{name}' for name in map(posixpath.basename, outside())
                                                                    if (ROOT / BENCHMARKS / name).exists())]
    for section in config.nav:
        for name, pages in section.items():
            if name == 'Results':
                section[name] = [*pages, *results]
    if api:
        config.nav.append({'API': api})
    return config


def on_files(files, config):
    """Adds the pages outside docs/."""
    for source, target in outside().items():
        files.append(File.generated(config, target, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Rewrites the page's relative links for the site; a file that is no page of it is copied into it."""
    places = outside()
    source = {target: name for name, target in places.items()}.get(page.file.src_uri, f'docs/{page.file.src_uri}')

    def rewritten(match):
        code, opening, target, closing = match.groups()
        if code:
            return code
        wanted = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        place = places.get(wanted) or wanted.removeprefix('docs/')
        if wanted not in places and not wanted.startswith('docs/'):
            place = f'repository/{wanted}'
            if (ROOT / wanted).is_file() and place not in files.src_uris:
                files.append(File.generated(config, place, abs_src_path=str(ROOT / wanted)))
        return f'{opening}{posixpath.relpath(place, posixpath.dirname(page.file.src_uri) or ".")}{closing}'

    return LINK.sub(rewritten, markdown)
