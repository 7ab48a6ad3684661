"""Names of a UMT5 encoder's arrays in published files: the original's, transformers', and ComfyUI's single files."""
import dataclasses
from collections.abc import Mapping

from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.errors import UserError

ORIGINAL = {  # path of a leaf of one block: its name after 'blocks.N.'
    'attention_norm/scale': 'norm1', 'attention/bias': 'pos_embedding.embedding', 'attention/q/kernel': 'attn.q',
    'attention/k/kernel': 'attn.k', 'attention/v/kernel': 'attn.v', 'attention/out/kernel': 'attn.o', 'ffn_norm/scale': 'norm2',
    'gate/kernel': 'ffn.gate.0', 'up/kernel': 'ffn.fc1', 'down/kernel': 'ffn.fc2'}
TRANSFORMERS = {  # the same after 'encoder.block.N.layer.'
    'attention_norm/scale': '0.layer_norm', 'attention/bias': '0.SelfAttention.relative_attention_bias',
    'attention/q/kernel': '0.SelfAttention.q', 'attention/k/kernel': '0.SelfAttention.k', 'attention/v/kernel': '0.SelfAttention.v',
    'attention/out/kernel': '0.SelfAttention.o', 'ffn_norm/scale': '1.layer_norm', 'gate/kernel': '1.DenseReluDense.wi_0',
    'up/kernel': '1.DenseReluDense.wi_1', 'down/kernel': '1.DenseReluDense.wo'}
SPIECE = 'spiece_model'  # ComfyUI's array of the bytes of the tokenizer
LOGIT_SCALE = 'logit_scale'  # a number that ComfyUI writes beside every text encoder
COMFY = 'text_encoders.umt5xxl.'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layout:
    """prefix: of every name. block: the names of a block begin so, with {} for its number. leaves: path of a leaf -> name within a block.
    embeddings: names of the embedding, of which a file has one or more. norm: of the final norm. others: what else a file may have.
    """
    prefix: str
    block: str
    leaves: dict[str, str]
    embeddings: tuple[str, ...]
    norm: str
    others: tuple[str, ...] = ()

    def leaf(self, number: int, path: str) -> str:
        """The name of a leaf of block `number`."""
        return f'{self.prefix}{self.block.format(number)}{self.leaves[path]}.weight'

    def embedding(self, tensors: Mapping) -> list[str]:
        """The names of the embedding that the file has."""
        return [name for name in (f'{self.prefix}{each}.weight' for each in self.embeddings) if name in tensors]

    def final_norm(self) -> str:
        """The name of the final norm's scale."""
        return f'{self.prefix}{self.norm}.weight'

    def layers(self, tensors: Mapping) -> int:
        """How many blocks the file has: one more than the highest number of a query kernel."""
        start, end = self.leaf('#', 'attention/q/kernel').split('#')
        numbers = [name[len(start):-len(end)] for name in tensors if name.startswith(start) and name.endswith(end)]
        return 1 + max((int(number) for number in numbers if number.isdigit()), default=0)


def find_layout(tensors: Mapping) -> Layout:
    """The layout of the file's names. Raises UserError where the arrays are no UMT5 encoder's."""
    original = {'block': 'blocks.{}.', 'leaves': ORIGINAL, 'embeddings': ('token_embedding',), 'norm': 'norm'}
    theirs = {'block': 'encoder.block.{}.layer.', 'leaves': TRANSFORMERS, 'embeddings': ('encoder.embed_tokens', 'shared'),
              'norm': 'encoder.final_layer_norm', 'others': ('decoder.', 'lm_head.')}
    layouts = [Layout(prefix=prefix, **original) for prefix in ('', 'encoder.')]
    layouts += [Layout(prefix=prefix, **theirs) for prefix in ('', f'{COMFY}transformer.')]
    for layout in layouts:
        if layout.leaf(0, 'attention/bias') in tensors:
            return layout
    raise UserError(f'{place(tensors)} is no UMT5 encoder: it has neither {layouts[0].leaf(0, "attention/bias")!r} nor '
                    f'{layouts[2].leaf(0, "attention/bias")!r}; give models_t5_umt5-xxl-enc-bf16.pth, a folder text_encoder in '
                    "transformers' layout, or ComfyUI's umt5_xxl file")


def check_names(tensors: Mapping, layout: Layout, layers: int) -> None:
    """Raises UserError unless the file has every array of an encoder of so many blocks, and no other of unknown meaning."""
    expected = {layout.leaf(number, path) for number in range(layers) for path in layout.leaves} | {layout.final_norm()}
    missing = sorted(expected - set(tensors))
    if not layout.embedding(tensors):
        missing.append(f'{layout.prefix}{layout.embeddings[-1]}.weight')
    if missing:
        raise UserError(f'{place(tensors)} lacks {counted(len(missing), "array")} of a UMT5 encoder, such as {missing[0]!r}; '
                        'get the file again (T5, which lacks bias tables, is another encoder)')
    used = expected | set(layout.embedding(tensors))
    left = sorted(name for name in tensors if name not in used and not _is_other(name, layout))
    if left:
        raise UserError(f'{place(tensors)} has {counted(len(left), "array that has", "arrays that have")} no place in a UMT5 '
                        f'encoder, such as {left[0]!r}; '
                        'give the file of the encoder alone')


def spiece_name(tensors: Mapping) -> str | None:
    """The name of the array that holds a sentencepiece model, or None."""
    return next((name for name in tensors if name.split('.')[-1] == SPIECE), None)


def place(tensors: Mapping) -> str:
    """The file's name in messages."""
    return str(getattr(tensors, 'path', "the text encoder's file"))


def _is_other(name, layout):
    """Whether an array of the file is of another part, such as the tokenizer, the decoder or, in a checkpoint of all parts, the model."""
    foreign = layout.prefix.startswith(COMFY) and not name.startswith(COMFY)
    others = tuple(layout.prefix + other for other in layout.others)
    return foreign or name.split('.')[-1] in (SPIECE, LOGIT_SCALE) or name.startswith(others)
