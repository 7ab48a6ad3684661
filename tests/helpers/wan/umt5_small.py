"""A tiny UMT5: a sentencepiece model trained on a few captions, and random weights by the names of published files."""
import io

import numpy as np
import sentencepiece

from tqd_jax.text.umt5.config import Umt5Config
from tqd_jax.text.umt5.names import Layout, find_layout

CONFIG = Umt5Config(vocab=384, width=16, heads=2, head_dim=4, ffn=20, layers=3)
CAPTIONS = [
    'A red disc rolls  slowly\tover the table.', '', '一只猫在草地上奔跑，阳光明媚。',
    'Ein Mädchen läuft über die Straße; «später» regnet es.',
    'Кошка сидит на окне', 'the caf&amp;eacute; &lt;is&gt; open', 'schÃ¶n und dâ€™accord', 'ﬁnally ½ ﬂag Ⅳ ＡＢＣ', 'قطة على السطح', ' \n ',
    'the red disc ' * 40]


def train_spiece(texts, **options):
    """The bytes of a sentencepiece model of texts, with UMT5's numbers of the special tokens."""
    model = io.BytesIO()
    options = {'pad_id': 0, 'eos_id': 1, 'bos_id': 2, 'unk_id': 3, 'vocab_size': 384, 'character_coverage': 1.0,
               'hard_vocab_limit': False, 'num_threads': 1, 'minloglevel': 3, **options}
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(texts), model_writer=model, **options)
    return model.getvalue()


def random_arrays(config=CONFIG, *, layout='original', seed=0):
    """{published name: float32 array}, matrices [outputs, inputs]. layout: 'original', 'transformers' (the name `shared`) or 'comfy'."""
    rng, c = np.random.default_rng(seed), config
    block = {'attention_norm/scale': (c.width,), 'attention/bias': (c.buckets, c.heads), 'attention/out/kernel': (c.width, c.inner),
             'ffn_norm/scale': (c.width,), 'gate/kernel': (c.ffn, c.width), 'up/kernel': (c.ffn, c.width), 'down/kernel': (c.width, c.ffn)}
    block |= {f'attention/{name}/kernel': (c.inner, c.width) for name in 'qkv'}
    names = layout_of(layout)
    shapes = {names.leaf(number, path): shape for number in range(c.layers) for path, shape in sorted(block.items())}
    shapes |= {f'{names.prefix}{names.embeddings[-1]}.weight': (c.vocab, c.width), names.final_norm(): (c.width,)}
    return {name: rng.normal(0.2, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}


def layout_of(name: str) -> Layout:
    """The layout by a short name."""
    return find_layout({'original': ['blocks.0.pos_embedding.embedding.weight'],
                        'transformers': ['encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight'],
                        'comfy': ['text_encoders.umt5xxl.transformer.encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight']
                        }[name])
