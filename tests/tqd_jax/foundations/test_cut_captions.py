"""Captions that the shipped text encoder cuts are counted and listed, and so is how many become alike."""
import json

from tqd_jax.foundations.cut import list_cut, what_is_read
from tqd_jax.models.assets import located
from tqd_jax.text.umt5.encoder import read_encoder

LENGTH = 32  # tokens; text_len of the shipped transformer
SAME = 'photograph of wild, high mountains beside '  # of more bytes than are read; none of its nouns is in rendered captions
PLACES = 'a lake', 'the sea', 'some houses'


def shipped():
    return read_encoder(located('asset:tiny_wan/text_encoder'), located('asset:tiny_wan/tokenizer'), length=LENGTH, dtype='float32')


def test_own_captions_are_read_up_to_some_thirty_letters():
    encoder = shipped()
    assert encoder.too_long(['xyzzy' * 6, 'xyzzy' * 7]) == [1]  # 30 and 35 letters
    assert not encoder.too_long(['a red disc moves to the left'])


def test_the_line_says_how_many_captions_become_how_many_and_where_they_are_listed(tmp_path, capsys):
    encoder, captions = shipped(), [SAME + place for place in PLACES]
    captions.append('another ' + captions[0])
    assert encoder.too_long(captions) == [0, 1, 2, 3]
    list_cut(what_is_read(captions, encoder), LENGTH, tmp_path)
    assert capsys.readouterr().out == (
        f'captions: 4 are longer than 32 tokens and cut: 4 different captions become 2; see {tmp_path / "cut_captions.jsonl"}; '
        f'the first is {captions[0]!r}\n')
    assert [json.loads(line) for line in (tmp_path / 'cut_captions.jsonl').read_text().splitlines()] == [
        {'caption': caption} for caption in captions]


def test_captions_that_stay_different_are_only_listed_and_none_leave_no_file(tmp_path, capsys):
    pairs = what_is_read(['left ' + SAME, 'right ' + SAME], shipped())
    list_cut(pairs, LENGTH, tmp_path)
    assert 'and cut; see' in capsys.readouterr().out
    (tmp_path / 'cut_captions.jsonl').unlink()
    list_cut([], LENGTH, tmp_path)
    assert not capsys.readouterr().out and not list(tmp_path.iterdir())
