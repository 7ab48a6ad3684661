"""Captions to UMT5's token ids, by a tokenizer file that the user has: spiece.model, tokenizer.json, or an array of a ComfyUI file."""
import dataclasses
import functools
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import sentencepiece
import tokenizers
from jaxtyping import Int32

from tqd_jax.text.umt5.config import EOS, PAD
from tqd_jax.text.umt5.names import place, spiece_name
from transfer_jax.runtime.errors import UserError

FILES = ('spiece.model', 'tokenizer.json')
FOLDERS = ('.', 'tokenizer', 'google/umt5-xxl')  # beside the encoder's weights in published folders


@dataclasses.dataclass(frozen=True)
class Tokenizer:
    """A tokenizer by the bytes of its file, so that two of the same content are equal. kind: one of FILES."""
    kind: str
    data: bytes = dataclasses.field(repr=False)

    @property
    def size(self) -> int:
        """Number of tokens."""
        return _processor(self).get_vocab_size() if self.kind == 'tokenizer.json' else _processor(self).get_piece_size()

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of texts as they are, without an end; never PAD, which ends a caption.

        A text that has '</s>' in it: spiece.model reads letters there, tokenizer.json the token, as transformers does.
        """
        if self.kind == 'tokenizer.json':
            rows = _processor(self).encode_batch(list(texts), add_special_tokens=False)
            return [[number for number in row.ids if number != PAD] for row in rows]
        return _processor(self).encode(list(texts), out_type=int)


def pack(rows: Sequence[Sequence[int]], length: int) -> Int32[np.ndarray, 'n {length}']:
    """int32 [N, length]: each row's first length - 1 ids, EOS, then PAD."""
    tokens = np.full((len(rows), length), PAD, np.int32)
    for out, row in zip(tokens, rows, strict=True):
        cut = [*row[:length - 1], EOS]
        out[:len(cut)] = cut
    return tokens


def read_tokenizer(path: str | pathlib.Path) -> Tokenizer:
    """The tokenizer of a file, or of a folder that has one. Raises UserError where there is none, or it is not UMT5's kind."""
    path = pathlib.Path(path)
    path = find_tokenizer(path) if path.is_dir() else path
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f'the tokenizer {path} cannot be read ({error.strerror or error}); '
                        f'give {FILES[0]} or {FILES[1]} of google/umt5-xxl') from error
    return _checked(Tokenizer(FILES[1] if path.suffix == '.json' else FILES[0], data), path)


def tokenizer_in(tensors: Mapping) -> Tokenizer | None:
    """The tokenizer that a ComfyUI file holds as an array of bytes, or None."""
    name = spiece_name(tensors)
    return name and _checked(Tokenizer(FILES[0], np.asarray(tensors[name]).astype(np.uint8).tobytes()), f'{place(tensors)}: {name!r}')


def find_tokenizer(*folders: pathlib.Path) -> pathlib.Path:
    """The tokenizer file in the first folder that has one, or has it where published folders do. Raises UserError where none has."""
    for folder in folders:
        for file in (folder / below / name for below in FOLDERS for name in FILES):
            if file.is_file():
                return file
    raise UserError(f'there is no tokenizer ({" or ".join(FILES)}) in {" or ".join(map(str, folders))}; put that of google/umt5-xxl there, '
                    'or give its path')


@functools.lru_cache(maxsize=4)  # reading takes a second
def _processor(tokenizer):
    if tokenizer.kind == 'spiece.model':
        return sentencepiece.SentencePieceProcessor(model_proto=tokenizer.data)
    processor = tokenizers.Tokenizer.from_buffer(tokenizer.data)
    processor.no_truncation()
    processor.no_padding()
    return processor


def _checked(tokenizer, origin):
    try:
        processor = _processor(tokenizer)
    except Exception as error:  # both libraries raise bare exceptions of their own languages
        raise UserError(f'the tokenizer {origin} cannot be read ({" ".join(str(error).split())}); get the file again') from error
    number = processor.token_to_id if tokenizer.kind == 'tokenizer.json' else processor.piece_to_id
    ids = [number('<pad>'), number('</s>')]
    if ids != [PAD, EOS]:
        raise UserError(f"the tokenizer {origin} has <pad> and </s> as {ids}, UMT5's has {[PAD, EOS]}; give that of google/umt5-xxl")
    return tokenizer
