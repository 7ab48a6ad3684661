"""What is written beside a clip -> its captions: a text with one a line, or the JSON that trainers and captioners write."""
import json
import re
from collections.abc import Mapping

from tqd_jax.clips.listing.encoding import decode
from tqd_jax.clips.listing.names import CAPTION, plain

ENDINGS = ('.txt', '.text', '.caption', '.cap', '.json')  # the first that has a caption counts
LARGEST = 2**20  # bytes of a text that are read
NO_LETTERS = re.compile(r'[\0-\x08\x0e-\x1a\x1c-\x1f]')  # hardly any text has them
LONE = re.compile('[\ud800-\udfff]')  # half a letter, of which JSON may have escapes
DEPTH = 4  # objects within objects that are looked into


class NoText(ValueError):
    """Bytes that are no text."""


def captions_in(data: bytes, ending: str) -> list[str]:
    """The captions in a file's bytes, [] where there are none: its lines, or what its JSON calls captions.

    Raises ValueError on no JSON, NoText on a file that is no text.
    """
    return captions_of_text(decode(data)[0], ending)


def captions_of_text(text: str, ending: str) -> list[str]:
    """captions_in of a file's bytes as text."""
    text = text.strip('\0')
    if '\0' in text or len(NO_LETTERS.findall(text)) > 0.01 * len(text):
        raise NoText
    return of_value(loads(text, parse_int=str, parse_float=str)) if ending == '.json' and text.strip() else lines_of(text)


def loads(text: str, **options):
    """json.loads, with U+FFFD for half a letter, as where a caption was cut within an emoji."""
    value = json.loads(text, **options)
    return _whole(value) if '\\ud' in text or '\\uD' in text else value


def _whole(value):
    if isinstance(value, str):
        return LONE.sub('\ufffd', value)
    if isinstance(value, dict):
        return {_whole(name): _whole(one) for name, one in value.items()}
    return [_whole(one) for one in value] if isinstance(value, list) else value


def lines_of(text: str) -> list[str]:
    """The lines of a text that are not blank, without space around them."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def of_value(value, depth: int = DEPTH) -> list[str]:
    """The captions in a value of JSON: a text, a list of them, or an object with one under a name of names.CAPTION."""
    if isinstance(value, str):
        return [value.strip()] if value.strip() else []
    if not depth:
        return []
    if isinstance(value, Mapping):
        called = {plain(name): one for name, one in value.items()}
        named = next((found for name in CAPTION if name in called and (found := _all(called[name], depth - 1))), None)
        return named or []
    if isinstance(value, list | tuple):
        return [caption for one in value for caption in of_value(one, depth - 1)]
    return []


def _all(value, depth):
    """The captions under a name that says so: of an object {'short': ..., 'long': ...} all texts."""
    found = of_value(value, depth)
    if not found and isinstance(value, Mapping):
        return [caption for one in value.values() for caption in of_value(one, depth - 1)]
    return found
