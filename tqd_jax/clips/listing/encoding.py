"""The encoding and the delimiter of a text file, by its bytes."""
import codecs
import csv
import re

MARKS = ((codecs.BOM_UTF8, 'utf-8-sig'), (codecs.BOM_UTF32_LE, 'utf-32'),  # UTF-32 before UTF-16, whose mark it begins with
         (codecs.BOM_UTF16_LE, 'utf-16'), (codecs.BOM_UTF16_BE, 'utf-16'))
NAMES = {'utf-8': 'UTF-8', 'utf-8-sig': 'UTF-8', 'utf-16': 'UTF-16', 'utf-16-le': 'UTF-16', 'utf-16-be': 'UTF-16',
         'utf-32': 'UTF-32', 'gb18030': 'GB 18030 (Chinese)', 'cp1251': 'Windows-1251 (Cyrillic)', 'cp1252': 'Windows-1252 (Latin-1)',
         'latin-1': 'Latin-1', 'utf_8': 'UTF-8, with bytes that are no letters'}
DELIMITERS = {',': 'commas', ';': 'semicolons', '\t': 'tabs', '|': 'bars'}
BLOCK = 2**20
MANY = 10  # letters of UTF-8 for a byte that is none: so many that the text is UTF-8 with a fault


def decode(data: bytes, cut: bool = False) -> tuple[str, str]:
    """(the text of a file's bytes, the name of its encoding as Python knows it); a byte order mark is no part of the text.

    cut: the file has more bytes than these, so the last letter may not be whole.
    """
    encoding = _marked(data) or ('utf-8' if _is_utf8(data, cut) else guess(data))
    text = data.decode(encoding, 'replace' if encoding.startswith('utf') else 'strict')
    return text.removeprefix('\ufeff'), encoding


def encoding_of(file) -> str:
    """The encoding of a binary file, read from its beginning to its end; its place is the beginning afterwards."""
    block = file.read(BLOCK)
    found, decoder, other, wide = _marked(block), codecs.getincrementaldecoder('utf-8')(), None, False
    while found is None and block and other is None:
        following = file.read(BLOCK)
        try:
            wide |= not decoder.decode(block).isascii()
        except UnicodeDecodeError:
            other = block
        else:
            other = block if not following and not wide and decoder.getstate()[0] else None
        block = following
    file.seek(0)
    return found or ('utf-8' if other is None else guess(other))


def guess(data: bytes) -> str:
    """The encoding of text that is not UTF-8 throughout: GB 18030, Windows-1251, Windows-1252 or Latin-1, by the runs of bytes above 127.

    A Chinese letter is a pair of them, a Russian word is made of them, and in a Western one they stand alone. Text with many letters of
    UTF-8 and hardly a byte that is none, as where captions were cut, is 'utf_8', Python's other name of it.
    """
    letters = [letter for letter in data.decode('utf-8', 'replace') if not letter.isascii()]
    if len(letters) > MANY * letters.count('\ufffd'):
        return 'utf_8'
    runs = re.findall(rb'[\x80-\xff]+', data)
    high = sum(map(len, runs))
    paired = sum(len(run) for run in runs if len(run) % 2 == 0)
    if high and paired >= 0.9 * high and _decodes(data, 'gb18030') and all(byte >= 0xa1 for run in runs[:1000] for byte in run[::2]):
        return 'gb18030'
    if high and high >= 3 * len(runs) and _decodes(data, 'cp1251'):
        return 'cp1251'
    return 'cp1252' if _decodes(data, 'cp1252') else 'latin-1'


def delimiter_of(line: str, is_known) -> str:
    """The delimiter of a table whose header is `line`: the one with which the most names are known, then the one that occurs most."""
    names = lambda delimiter: next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    return max(DELIMITERS, key=lambda delimiter: (sum(map(is_known, names(delimiter))), len(names(delimiter)), delimiter == ','))


def words_for(encoding: str, delimiter: str = ',') -> str:
    """What was detected, for the user; '' where it is UTF-8 with commas."""
    said = [NAMES[encoding]] if encoding not in ('utf-8', 'utf-8-sig') else []
    said += [f'columns separated by {DELIMITERS[delimiter]}'] if delimiter != ',' else []
    return ', '.join(said)


def _marked(head):
    """The encoding that a byte order mark names, or UTF-16 without one by its zeros; None where neither tells."""
    for mark, encoding in MARKS:
        if head.startswith(mark):
            return encoding
    sample = head[:4096]
    if len(sample) >= 4 and b'\0' in sample:
        zeros = sample[0::2].count(0), sample[1::2].count(0)
        if max(zeros) > 0.3 * (len(sample) // 2) and min(zeros) < 0.05 * len(sample):
            return 'utf-16-be' if zeros[0] > zeros[1] else 'utf-16-le'
    return None


def _is_utf8(data, cut):
    """Half a letter at the end is of UTF-8 where the bytes are cut, or where other letters of several bytes are whole."""
    return _decodes(data, 'utf-8') and (cut or _decodes(data, 'utf-8', cut=False) or not data.decode('utf-8', 'ignore').isascii())


def _decodes(data, encoding, cut=True):
    """Whether bytes are text of an encoding. cut: the last letter may not be whole."""
    try:
        codecs.getincrementaldecoder(encoding)().decode(data, final=not cut)
    except UnicodeDecodeError:
        return False
    return True
