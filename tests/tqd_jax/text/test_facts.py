"""What is told of captions that are cut and of clips that become alike, against a count by hand; words of scripts without spaces."""
import numpy as np
import pytest

from tqd_jax.clips.strings import Strings
from tqd_jax.text.facts import caption_facts, clips_alike
from tqd_jax.text.words import HashedWords, tokenize, words_of

ALIKE = ['a young woman with long hair is walking a dog', 'a young woman with long hair is cooking pasta', 'a red disc', 'a red disc']


def facts(captions, length):
    text = HashedWords(length=length, vocab=512)
    return caption_facts(Strings.of(captions), text.prepare(captions), text)


def test_what_is_cut_and_what_becomes_alike_is_counted():
    cut, alike = facts(ALIKE, 6)
    words = [len(caption.split()) for caption in ALIKE]
    lost = sum(max(0, count - 6) for count in words)
    assert f'2 of 4 captions are longer than the 6 words that the model reads: {100 * lost / sum(words):.0f} %' in cut
    assert 'config.model.text_len=16' in cut and alike.startswith('2 of 4 clips have the same words')


def test_nothing_lost_is_nothing_said():
    assert facts(ALIKE, 16) == [] and facts([], 4) == [] and facts(['', ''], 4) == []


def test_equal_captions_are_no_fault_and_three_alike_are_three():
    tokens = np.array([[1, 2], [1, 2], [1, 2], [2, 1]])
    assert clips_alike(['a', 'A ', 'a'], tokens[:3]) == 0
    assert clips_alike(['a', 'b', 'a', 'c'], tokens) == 3


@pytest.mark.parametrize(('caption', 'words'), [
    ('一个红色的圆盘', list('一个红色的圆盘')), ('赤い円盤が動く。', list('赤い円盤が動く')), ('a 红色 disc', ['a', '红', '色', 'disc']),
    ('วงกลมสีแดง', list('วงกลมสีแดง')), ('빨간 원반', ['빨간', '원반']), ('लाल डिस्क', ['लाल', 'डिस्क']),
    ('Rote Scheibe, läuft', ['rote', 'scheibe', 'läuft']),
    ('caf\u0065\u0301 noir', ['caf\u00e9', 'noir']), ("it's 3d", ['it', 's', '3d']), ('Красный диск', ['красный', 'диск'])])
def test_words(caption, words):
    assert words_of(caption) == words
    assert (tokenize(caption, 16, 512) > 0).sum() == len(words) == HashedWords(length=2, vocab=512).counts([caption])[0]
