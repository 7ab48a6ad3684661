"""State dicts as torchvision, timm and transformers lay them out, written down independently of the package's own tables."""
import numpy as np
import safetensors.numpy


def timm_vit(dim=12, depth=2, patches=6, outputs=5, seed=0):
    """{name: array} of a vision transformer on 3-channel images in timm's layout, at random."""
    shapes = {'cls_token': (1, 1, dim), 'pos_embed': (1, 1 + patches, dim), 'patch_embed.proj.weight': (dim, 3, 16, 16),
              'patch_embed.proj.bias': (dim,), 'norm.weight': (dim,), 'norm.bias': (dim,), 'head.weight': (outputs, dim),
              'head.bias': (outputs,)}
    for i in range(depth):
        for name, rows, columns in (('attn.qkv', 3, 1), ('attn.proj', 1, 1), ('mlp.fc1', 4, 1), ('mlp.fc2', 1, 4)):
            shapes |= {f'blocks.{i}.{name}.weight': (rows * dim, columns * dim), f'blocks.{i}.{name}.bias': (rows * dim,)}
        for name in ('norm1', 'norm2'):
            shapes |= {f'blocks.{i}.{name}.weight': (dim,), f'blocks.{i}.{name}.bias': (dim,)}
    rng = np.random.default_rng(seed)
    return {name: (0.1 * rng.normal(size=shape)).astype('f') for name, shape in shapes.items()}


def torchvision_vit(timm, published=False):
    """The same weights in torchvision's layout, or in that of its published files."""
    outer = {'cls_token': 'class_token', 'pos_embed': 'encoder.pos_embedding', 'patch_embed.proj.weight': 'conv_proj.weight',
             'patch_embed.proj.bias': 'conv_proj.bias', 'norm.weight': 'encoder.ln.weight', 'norm.bias': 'encoder.ln.bias',
             'head.weight': 'heads.head.weight', 'head.bias': 'heads.head.bias'}
    inner = {'norm1': 'ln_1', 'norm2': 'ln_2', 'attn.proj': 'self_attention.out_proj',
             'mlp.fc1': 'mlp.linear_1' if published else 'mlp.0', 'mlp.fc2': 'mlp.linear_2' if published else 'mlp.3'}

    def renamed(name):
        if not name.startswith('blocks.'):
            return outer[name]
        _, i, *part, leaf = name.split('.')
        part = '.'.join(part)
        tail = f'self_attention.in_proj_{leaf}' if part == 'attn.qkv' else f'{inner[part]}.{leaf}'
        return f'encoder.layers.encoder_layer_{i}.{tail}'

    return {renamed(name): array for name, array in timm.items()}


def timm_vit_of(state):
    """transformers' ViTForImageClassification in timm's layout: the query's, key's and value's rows become one matrix."""
    outer = {'vit.embeddings.cls_token': 'cls_token', 'vit.embeddings.position_embeddings': 'pos_embed',
             'vit.embeddings.patch_embeddings.projection': 'patch_embed.proj', 'vit.layernorm': 'norm', 'classifier': 'head'}
    inner = {'layernorm_before': 'norm1', 'layernorm_after': 'norm2', 'attention.o_proj': 'attn.proj', 'mlp.fc1': 'mlp.fc1',
             'mlp.fc2': 'mlp.fc2'}
    out = {}
    for name, array in state.items():
        stem, leaf = (name, '') if name in outer else (name.rpartition('.')[0], '.' + name.rpartition('.')[2])
        if not stem.startswith('vit.layers.'):
            out[outer[stem] + leaf] = array
            continue
        _, _, i, part = stem.split('.', 3)
        if part == 'attention.q_proj':
            qkv = [state[f'vit.layers.{i}.attention.{p}_proj{leaf}'] for p in 'qkv']
            out[f'blocks.{i}.attn.qkv{leaf}'] = np.concatenate(qkv)
        elif part in inner:
            out[f'blocks.{i}.{inner[part]}{leaf}'] = array
    return out


def torchvision_resnet_of(state):
    """transformers' ResNetForImageClassification in torchvision's layout, which is timm's too."""
    def renamed(name):
        stem, _, leaf = name.rpartition('.')
        if stem == 'classifier.1':
            return f'fc.{leaf}'
        *path, part = stem.removeprefix('resnet.').split('.')
        if path == ['embedder', 'embedder']:
            return f'{ {"convolution": "conv1", "normalization": "bn1"}[part] }.{leaf}'
        block = f'layer{int(path[2]) + 1}.{path[4]}'
        if path[5] == 'shortcut':
            return f'{block}.downsample.{ {"convolution": 0, "normalization": 1}[part] }.{leaf}'
        return f'{block}.{ {"convolution": "conv", "normalization": "bn"}[part] }{int(path[6]) + 1}.{leaf}'

    return {renamed(name): array for name, array in state.items()}


def saved(state, path):
    """Writes a state dict as the suffix says; returns the path as text."""
    if path.suffix == '.npz':
        np.savez(path, **state)
    else:
        safetensors.numpy.save_file({name: np.ascontiguousarray(array) for name, array in state.items()}, path)
    return str(path)
