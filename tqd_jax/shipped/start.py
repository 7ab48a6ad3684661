"""A tiny Wan of random weights, from which the shipped one is trained: transformer, text encoder and tokenizer, in diffusers' layout.

    python -m tqd_jax.shipped.start runs/tiny_wan

The text encoder stays as it is drawn: it gives each word features of its own. The tokenizer has a token for each word of the rendered
captions, and spells every other text by its bytes. The folder has no VAE.
"""
import argparse
import json
import pathlib
import shutil

import jax
import numpy as np
import safetensors.numpy
import tokenizers
from tokenizers import models, pre_tokenizers, trainers

from tqd_jax.clips.scenes import COLOURS, SHAPES
from tqd_jax.models.io.write import save_diffusers
from tqd_jax.models.wan.model import WanConfig, init_params
from tqd_jax.text.umt5.config import Umt5Config
from tqd_jax.text.umt5.model import init
from tqd_jax.text.umt5.names import TRANSFORMERS, find_layout
from transfer_jax.runtime.errors import errors_in_one_line
from transfer_jax.runtime.keys import stream_key

SEED = 1
SPECIAL = ['<pad>', '</s>']  # by UMT5's numbers
TEXT = {'width': 64, 'heads': 2, 'head_dim': 16, 'ffn': 64, 'layers': 2}
MODEL = {'layers': 4, 'heads': 5, 'head_dim': 32, 'ffn_dim': 512, 'text_len': 32, 'in_channels': 16, 'out_channels': 16}


def write_start(folder, seed=SEED):
    """Writes the three parts into a folder; what an earlier call wrote there is replaced."""
    folder = pathlib.Path(folder)
    vocab = write_tokenizer(folder / 'tokenizer')
    text = Umt5Config(vocab=vocab, **TEXT)
    write_text_encoder(folder / 'text_encoder', text, init(stream_key(seed, 'text'), text, 'float32'))
    model = WanConfig(text_dim=text.width, **MODEL)
    shutil.rmtree(folder / 'transformer', ignore_errors=True)
    save_diffusers(folder / 'transformer', model, init_params(model, stream_key(seed, 'init')))
    return folder


def write_tokenizer(folder):
    """Writes tokenizer.json, and returns how many tokens it has."""
    captions = [f'a {colour} {shape} and a {colour} {shape}' for colour in COLOURS for shape in SHAPES]
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    trainer = trainers.BpeTrainer(vocab_size=512, special_tokens=SPECIAL, show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train_from_iterator(captions, trainer)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'tokenizer.json').write_text(json.dumps(json.loads(tokenizer.to_str()), indent=1) + '\n')
    return tokenizer.get_vocab_size()


def write_text_encoder(folder, config, params):
    """Writes model.safetensors in transformers' names."""
    layout = find_layout(['encoder.block.0.layer.' + TRANSFORMERS['attention/bias'] + '.weight'])
    leaves = {jax.tree_util.keystr(path, simple=True, separator='/'): np.asarray(leaf)
              for path, leaf in jax.tree.leaves_with_path(params['blocks'])}
    arrays = {'shared.weight': np.asarray(params['embedding']), layout.final_norm(): np.asarray(params['norm']['scale'])}
    for number in range(config.layers):
        arrays |= {layout.leaf(number, path): leaf[number].T if path.endswith('kernel') else leaf[number] for path, leaf in leaves.items()}
    folder.mkdir(parents=True, exist_ok=True)
    safetensors.numpy.save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / 'model.safetensors')


def main():
    """Writes the start into the folder that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', help='of transformer, text_encoder and tokenizer; made where it is not there')
    print(write_start(parser.parse_args().folder))


if __name__ == '__main__':
    with errors_in_one_line(OSError):
        main()
