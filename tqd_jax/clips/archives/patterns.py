"""Patterns of paths: lists and ranges in braces as shells and webdataset have them, globs, and numbers of pictures (%05d)."""
import itertools
import re

MAX = 1_000_000  # paths of one pattern
BRACES = re.compile(r'\{(?:(\d+)\.\.(\d+)|([^{}]*,[^{}]*))\}')  # {0001..0100} or {a,b}
MARKS = re.compile(r'(%(?:0\d+)?d|[*?])')  # of a pattern of names: a number with at least so many digits, any text, any character

FPS = re.compile(r'(.+?)\?fps=(\d+(?:\.\d+)?)(::.*)?', re.DOTALL)  # after a folder or pattern of pictures: how many are shown a second


def split_rate(path):
    """(a path without ?fps=12 at its end, 12.0, or None where it has none or 0); a member's is at the end of its name."""
    found = FPS.fullmatch(path)
    return (found[1] + (found[3] or ''), float(found[2]) or None) if found else (path, None)


def braces(text):
    """The texts that '{a,b}' and '{000..012}' in one stand for, in order; itself where there are none. Raises ValueError beyond MAX."""
    parts, last = [], 0
    for found in BRACES.finditer(text):
        parts += [[text[last:found.start()]], _choices(*found.groups())]
        last = found.end()
    texts = [''.join(choice) for choice in itertools.islice(itertools.product(*parts, [text[last:]]), MAX + 1)]
    if len(texts) > MAX:
        raise ValueError(f'it stands for more than {MAX} paths')
    return texts


def _choices(first, last, listed):
    if listed is not None:
        return listed.split(',')
    width = max(len(first), len(last)) if '0' in (first[0], last[0]) else 0
    step = 1 if int(first) <= int(last) else -1
    return [str(number).zfill(width) for number in itertools.islice(range(int(first), int(last) + step, step), MAX + 1)]


def is_pattern(text):
    """Whether a text has a mark of MARKS."""
    return bool(MARKS.search(text))


def has_braces(text):
    """Whether braces gives other texts than this one."""
    return bool(BRACES.search(text))


def matching(pattern, names):
    """The names that a pattern with MARKS means."""
    mean = {'*': '.*', '?': '.'}
    digits = lambda part: rf'\d{{{int(part[1:-1] or 1)},}}'
    parts = (mean.get(part) or (digits(part) if MARKS.fullmatch(part) else re.escape(part)) for part in MARKS.split(pattern))
    expression = re.compile(''.join(parts), re.DOTALL)
    return [name for name in names if expression.fullmatch(name)]
