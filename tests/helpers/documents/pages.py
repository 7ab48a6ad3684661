"""The pages of the documentation, by their paths in the repository."""
import pathlib

ROOT = pathlib.Path(__file__).parents[3]
TASKS = ('data', 'laws', 'training', 'wan', 'plan', 'scoring', 'importing', 'transfer', 'sklearn', 'scaling', 'launch', 'extending')
FOLDERS = ('docs', 'docs/results', 'docs/api', 'benchmarks/results')
PATHS = [ROOT / 'README.md', ROOT / 'ARCHITECTURE.md', *(path for folder in FOLDERS for path in sorted((ROOT / folder).glob('*.md')))]
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text() for path in PATHS}
