"""Captions that lie beside a clip in its archive, in files of the same name: .txt, .text, .caption, .json."""
import json

from tqd_jax.clips.archives.listing import sample_of
from tqd_jax.clips.archives.stamps import index_at
from tqd_jax.clips.archives.urls import ending, member_of

KEYS = ('caption', 'text', 'prompt')  # of a .json, the first that is there


def texts_beside(url):
    """{name: bytes} of the texts beside a member of an archive: a name of the same sample, which ends as one of SIDECARS does."""
    archive, kind, name = member_of(url)
    return {entry.name: entry.text for entry in index_at(archive, kind).below(f'{sample_of(name)}.') if entry.text is not None}


def captions_of(clips):
    """The captions of clips, '' of those that are in no archive, or have none there."""
    return [caption_of(clip) if member_of(clip) else '' for clip in clips]


def caption_of(url):
    """The caption of a clip in an archive, '' where there is none: of a file with its name up to the last dot, else up to the first."""
    name = member_of(url)[2]
    beside, stem = texts_beside(url), name[:len(name) - len(ending(name))]
    names = (f'{base}{ending}' for base in dict.fromkeys((stem, sample_of(name))) for ending in READERS)
    captions = (READERS[ending(one)](beside[one]) for one in names if one in beside)
    return next(filter(None, captions), '')


def _plain(data):
    return data.decode('utf-8-sig', 'replace').strip()


def _from_json(data):
    try:
        record = json.loads(data)
    except ValueError:
        return ''
    values = [record.get(key) for key in KEYS] if isinstance(record, dict) else [record]
    return next((value.strip() for value in values if isinstance(value, str) and value.strip()), '')


READERS = {'.txt': _plain, '.caption': _plain, '.text': _plain, '.json': _from_json}
