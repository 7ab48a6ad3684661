"""Captions to tokens: cleaning, the same ids from every kind of tokenizer file, truncation, and files that do not fit."""
import json

import numpy as np
import pytest
from umt5_small import CAPTIONS, CONFIG, train_spiece

from tqd_jax.text.umt5.clean import clean
from tqd_jax.text.umt5.encoder import Umt5
from tqd_jax.text.umt5.tokenizer import Tokenizer, find_tokenizer, pack, read_tokenizer, tokenizer_in
from transfer_jax.runtime.errors import UserError

TEXTS = [clean(text) for text in CAPTIONS]
SPIECE = train_spiece(TEXTS, normalization_rule_name='identity')
UNTRAINED = ['Zürich 🙂🙂 x', 'a <b> disc', ' two  spaces ']


def as_json(data):
    """tokenizer.json of a sentencepiece model's bytes, with a truncation and padding of its own, which nobody asked for."""
    import sentencepiece
    from tokenizers import AddedToken, models, pre_tokenizers, processors
    from tokenizers import Tokenizer as Library

    source = sentencepiece.SentencePieceProcessor(model_proto=data)
    pieces = [(source.id_to_piece(number), source.get_score(number)) for number in range(source.get_piece_size())]
    library = Library(models.Unigram(pieces, unk_id=3))
    library.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    library.post_processor = processors.TemplateProcessing(single='$A </s>', special_tokens=[('</s>', 1)])
    library.add_special_tokens([AddedToken(piece, special=True) for piece in ('<pad>', '</s>', '<s>', '<unk>')])
    library.enable_truncation(5)
    library.enable_padding(length=20)
    return library.to_str().encode()


@pytest.mark.parametrize('caption, cleaned', [
    ('  a \n\n b\t c  ', 'a b c'), ('a&nbsp;b', 'a b'), ('caf&amp;eacute;', 'café'), ('< &amp;amp;lt;', '< &lt;'),
    ('schÃ¶n', 'schön'),
    ('â€œquotedâ€\x9d', '"quoted"'), ('', ''), ('A Big CAT', 'A Big CAT'), ('一只猫　在', '一只猫 在'), ('ﬁn', 'fin'),
    ('\u200b x\ufeff', '\u200b x')])
def test_cleaning(caption, cleaned):
    assert clean(caption) == cleaned
    assert clean(clean(cleaned)) == clean(cleaned)


def test_all_kinds_of_files_give_the_same_tokens(tmp_path):
    (tmp_path / 'spiece.model').write_bytes(SPIECE)
    (tmp_path / 'tokenizer.json').write_bytes(as_json(SPIECE))
    spiece, library = read_tokenizer(tmp_path / 'spiece.model'), read_tokenizer(tmp_path / 'tokenizer.json')
    array = tokenizer_in({'text_encoders.spiece_model': np.frombuffer(SPIECE, np.uint8)})
    ids = spiece.ids(TEXTS + UNTRAINED)
    assert ids == library.ids(TEXTS + UNTRAINED) and array == spiece and spiece.size == library.size
    assert max(map(max, filter(None, ids))) > 40 and ids[1] == [] and tokenizer_in({'shared.weight': np.zeros(1)}) is None


def test_characters_without_a_piece_are_unknown_or_bytes():
    plain, with_bytes = (Tokenizer('spiece.model', train_spiece(TEXTS, byte_fallback=fallback)) for fallback in (False, True))
    assert 3 in plain.ids(['🙂'])[0] and 3 not in with_bytes.ids(['🙂'])[0] and len(with_bytes.ids(['🙂'])[0]) == 5


def test_no_text_has_padding_in_it():
    spiece, library = Tokenizer('spiece.model', SPIECE), Tokenizer('tokenizer.json', as_json(SPIECE))
    assert {0, 1} & set(spiece.ids(['a <pad> </s> disc'])[0]) == set()
    assert {0, 1} & set(library.ids(['a <pad> </s> disc'])[0]) == {1}


def test_rows_end_with_the_end():
    assert pack([[5, 6], [], [7, 8, 9], [4, 5, 6, 7]], 4).tolist() == [[5, 6, 1, 0], [1, 0, 0, 0], [7, 8, 9, 1], [4, 5, 6, 1]]
    assert pack([], 4).shape == (0, 4)


def test_too_long_captions_are_those_that_are_cut():
    tokenizer = Tokenizer('spiece.model', SPIECE)
    sizes = [len(ids) + 1 for ids in tokenizer.ids(TEXTS)]
    encoder = Umt5(config=CONFIG, tokenizer=tokenizer, length=sizes[4])
    assert encoder.too_long(CAPTIONS) == [number for number, size in enumerate(sizes) if size > sizes[4]] != []
    tokens = encoder.prepare(CAPTIONS)
    assert (tokens != 0).sum(axis=1).tolist() == [min(size, sizes[4]) for size in sizes]
    assert tokens[10].tolist() == [*tokenizer.ids(TEXTS[10:])[0][:sizes[4] - 1], 1]


@pytest.mark.parametrize('below', ['.', 'tokenizer', 'google/umt5-xxl'])
def test_a_tokenizer_is_found_where_published_folders_have_it(tmp_path, below):
    folder = tmp_path / below
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'tokenizer.json').write_bytes(as_json(SPIECE))
    assert find_tokenizer(tmp_path / 'absent', tmp_path).samefile(folder / 'tokenizer.json')
    assert read_tokenizer(tmp_path).size == read_tokenizer(folder).size
    (folder / 'spiece.model').write_bytes(SPIECE)
    assert find_tokenizer(tmp_path).name == 'spiece.model'


def test_files_of_others_are_refused(tmp_path):
    with pytest.raises(UserError, match=rf'no tokenizer .* in {tmp_path}'):
        read_tokenizer(tmp_path)
    with pytest.raises(UserError, match=r'absent\.model cannot be read \(No such file'):
        read_tokenizer(tmp_path / 'absent.model')
    for name in ('spiece.model', 'tokenizer.json'):
        (tmp_path / name).write_bytes(b'{"version": "no"}')
        with pytest.raises(UserError, match=rf'{name} cannot be read .*get the file again'):
            read_tokenizer(tmp_path / name)
    (tmp_path / 'spiece.model').write_bytes(train_spiece(TEXTS, pad_id=3, unk_id=0))
    with pytest.raises(UserError, match=r"as \[3, 1\], UMT5's has \[0, 1\]"):
        read_tokenizer(tmp_path / 'spiece.model')
    other = json.loads(as_json(SPIECE))
    other['model']['vocab'][1][0], other['added_tokens'] = '<end>', []
    (tmp_path / 'tokenizer.json').write_text(json.dumps(other))
    with pytest.raises(UserError, match=r'as \[0, None\]'):
        read_tokenizer(tmp_path / 'tokenizer.json')
    with pytest.raises(UserError, match="the text encoder's file: 'spiece_model' cannot be read"):
        tokenizer_in({'spiece_model': np.zeros(3, np.uint8)})
