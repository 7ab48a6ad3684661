"""Files of tensors: every dtype and container read lazily and exactly; damaged ones named in one line."""
import json
import zipfile

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file
from tensor_files import DTYPES, write_safetensors, write_torch

from tqd_jax.models.io.files import open_tensors
from transfer_jax.runtime.errors import UserError


def pickled(name=b'torch._utils\n_rebuild_tensor_v2', shape=(2, 3), strides=(1, 2), offset=1, storage='BFloat16Storage', size=8):
    """The pickle of {'w': a tensor}, in opcodes of protocol 2."""
    ints = lambda values: b'(' + b''.join(b'K' + bytes([value]) for value in values) + b't'
    key = b'(X\x07\x00\x00\x00storagectorch\n' + storage.encode() + b'\n'
    key += b'X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK' + bytes([size]) + b'tQ'
    tensor = b'c' + name + b'\n(' + key + b'K' + bytes([offset]) + ints(shape) + ints(strides) + b'\x89ccollections\nOrderedDict\n)RtR'
    return b'\x80\x02}X\x01\x00\x00\x00w' + tensor + b's.'


@pytest.fixture
def arrays():
    values = np.random.default_rng(0).normal(size=(3, 5)) * 9
    tree = {f'a.{name}': values.astype(kind) for name, kind in DTYPES.items()}
    return {'odd': np.ones(3, np.uint8), **tree, 'scalar': np.float32(2.5).reshape(()), 'none': np.zeros((0, 4), np.float32)}


def same(ours, theirs):
    assert ours.dtype == theirs.dtype and ours.shape == theirs.shape and np.asarray(ours).tobytes() == theirs.tobytes()


def test_safetensors_of_every_dtype_come_back_bit_for_bit(tmp_path, arrays):
    tensors = open_tensors(write_safetensors(tmp_path / 'w.bin', arrays, {'about': 'x'}))
    assert tensors.metadata == {'about': 'x'} and list(tensors) == list(arrays) and len(tensors) == len(arrays)
    for name, array in arrays.items():
        same(tensors[name], array)
    values = tensors['a.BF16']
    same(values.read((slice(1, 3), [4, 0])), np.ascontiguousarray(arrays['a.BF16'][1:3, [4, 0]]))
    same(values[1], arrays['a.BF16'][1])
    assert np.asarray(values, np.float32).dtype == np.float32 and values.read().flags.writeable


def test_a_folder_of_shards_is_one_table_with_and_without_its_index(tmp_path, arrays):
    names = list(arrays)
    for part in range(3):
        write_safetensors(tmp_path / f'm-{part}.safetensors', {name: arrays[name] for name in names[part::3]}, {f'part{part}': ''})
    tensors = open_tensors(tmp_path)
    assert set(tensors) == set(names) and set(tensors.metadata) == {'part0', 'part1', 'part2'}
    places = {name: f'm-{names.index(name) % 3}.safetensors' for name in names}
    (tmp_path / 'm.safetensors.index.json').write_text(json.dumps({'metadata': {}, 'weight_map': places}))
    write_safetensors(tmp_path / 'other.safetensors', {'odd': arrays['odd']})  # of no index: not a shard of this model
    tensors = open_tensors(tmp_path)
    for name in names:
        same(tensors[name], arrays[name])


def test_numbered_shards_need_no_index_but_all_of_them(tmp_path):
    save_file({'a': np.ones(3, 'f')}, tmp_path / 'm-00001-of-00002.safetensors')
    save_file({'x': np.ones(3, 'f')}, tmp_path / 'other.safetensors')  # not of this model
    with pytest.raises(UserError, match=r'has 1 of the shards of m-00001-of-00002\.safetensors'):
        open_tensors(tmp_path)
    save_file({'b': np.ones(3, 'f')}, tmp_path / 'm-00002-of-00002.safetensors')
    assert set(open_tensors(tmp_path)) == {'a', 'b'}


def test_a_torch_file_is_read_with_its_strides_and_offset_without_torch(tmp_path):
    values = np.arange(8).astype(ml_dtypes.bfloat16)
    tensors = open_tensors(write_torch(tmp_path / 'w.pth', pickled(), {'0': values.tobytes()}))
    same(tensors['w'], np.ascontiguousarray(values[1:7].reshape(3, 2).T))
    same(tensors['w'][1, ::2], np.ascontiguousarray(values[1:7].reshape(3, 2).T[1, ::2]))


@pytest.mark.parametrize(('change', 'message'), [
    (dict(name=b'posix\nsystem'), r'names posix\.system'),
    (dict(name=b'builtins\neval'), r'names builtins\.eval'),
    (dict(name=b'torch._utils\n_rebuild_parameter'), r'names torch\._utils\._rebuild_parameter'),
    (dict(storage='ComplexFloatStorage'), r'names torch\.ComplexFloatStorage'),
    (dict(offset=3), r'\[2, 3\] reaches beyond its storage'),
    (dict(size=9), 'cut short'),
])
def test_a_pickle_that_is_more_than_tensors_is_refused_by_name(tmp_path, change, message):
    path = write_torch(tmp_path / 'w.pth', pickled(**change), {'0': bytes(16)})
    with pytest.raises(UserError, match=message) as caught:
        open_tensors(path)
    assert str(path) in str(caught.value) and '\n' not in str(caught.value)


def test_other_torch_files_are_refused(tmp_path):
    path = tmp_path / 'w.pth'
    for write, message in [
        (lambda: write_torch(path, pickled(), {'0': bytes(16)}, order=b'big'), 'big-endian'),
        (lambda: write_torch(path, pickled(), {'0': bytes(16)}, compression=zipfile.ZIP_DEFLATED), 'compressed'),
        (lambda: write_torch(path, pickled(), {}), 'cannot be read as a PyTorch file'),
        (lambda: write_torch(path, b'\x80\x02}X\x01\x00\x00\x00wK\x05s.', {}), "'w' is no tensor but int"),
        (lambda: write_torch(path, b'\x80\x02K\x05.', {}), 'is no tensor but int'),
        (lambda: write_torch(path, pickled()[:-9], {'0': bytes(16)}), 'cannot be read as a PyTorch file'),
        (lambda: path.write_bytes(path.read_bytes()[:60]), 'cannot be read as a PyTorch file'),
        (lambda: zipfile.ZipFile(path, 'w').writestr('a', b'') or None, 'no data.pkl'),
    ]:
        write()
        with pytest.raises(UserError, match=message) as caught:
            open_tensors(path)
        assert str(path) in str(caught.value)


def header(entry):
    text = json.dumps({'w': entry}).encode()
    return len(text).to_bytes(8, 'little') + text + bytes(8)


@pytest.mark.parametrize(('data', 'message'), [
    (b'GGUF' + bytes(40), 'neither'),
    (b'', 'neither'),
    (b'version https://git-lfs.github.com/spec/v1', 'Git LFS pointer'),
    ((99).to_bytes(8, 'little') + b'{"w"', 'cut short within its header'),
    ((4).to_bytes(8, 'little') + b'{"w"', 'no table of arrays'),
    (header({'dtype': 'F32'}), "no dtype, shape and place of 'w'"),
    (header({'dtype': 'F4', 'shape': [2], 'data_offsets': [0, 1]}), "'w' is of dtype F4"),
    (header({'dtype': 'F32', 'shape': [3], 'data_offsets': [0, 8]}), r"'w' has 8 bytes, which are not \[3\] of F32"),
    (header({'dtype': 'F32', 'shape': [2], 'data_offsets': [4, 12]}), "cut short: 'w'"),
    (header({'dtype': 'F32', 'shape': [-1], 'data_offsets': [4, 0]}), "'w' has -4 bytes"),
])
def test_a_damaged_file_is_one_line_with_its_name(tmp_path, data, message):
    path = tmp_path / 'w.safetensors'
    path.write_bytes(data)
    with pytest.raises(UserError, match=message) as caught:
        open_tensors(path)
    assert str(path) in str(caught.value) and '\n' not in str(caught.value)


def test_damaged_folders_name_file_and_array(tmp_path):
    with pytest.raises(UserError, match=r'has no \.safetensors file'):
        open_tensors(tmp_path)
    with pytest.raises(UserError, match=r'absent\.pth cannot be read'):
        open_tensors(tmp_path / 'absent.pth')
    first, second, index = tmp_path / 'm-1.safetensors', tmp_path / 'm-2.safetensors', tmp_path / 'm.safetensors.index.json'
    save_file({'a': np.ones(9, 'f'), 'b': np.ones(9, 'f')}, first)
    save_file({'b': np.ones(9, 'f')}, second)
    with pytest.raises(UserError, match=r"'b' is in both .*m-1\.safetensors and m-2\.safetensors"):
        open_tensors(tmp_path)
    places = {'a': first.name, 'b': second.name, 'c': second.name}
    save_file({'a': np.ones(9, 'f')}, first)
    index.write_text(json.dumps({'weight_map': places}))
    with pytest.raises(UserError, match=r"m-2\.safetensors lacks 'c'"):
        open_tensors(tmp_path)
    second.write_bytes(second.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"m-2\.safetensors is cut short: 'b'"):
        open_tensors(tmp_path)
    second.unlink()
    with pytest.raises(UserError, match=r"m-2\.safetensors is absent; the index has 'b'"):
        open_tensors(tmp_path)
    for text in ('{', '[]', '{"weight_map": 3}', json.dumps({'weight_map': {'a': '../m-1.safetensors'}})):
        index.write_text(text)
        with pytest.raises(UserError, match=r'index\.json(:| is no index)'):
            open_tensors(tmp_path)
    (tmp_path / 'm.fp16.safetensors.index.json').write_text('{}')
    with pytest.raises(UserError, match='several indexes'):
        open_tensors(tmp_path)
