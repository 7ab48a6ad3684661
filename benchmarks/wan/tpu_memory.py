"""Memory that programs need on a TPU chip, from compiling them ahead of time on a CPU: GiB by program.

    python -m benchmarks.wan.tpu_memory [--quick] [NAME ...]

Needs libtpu (`pip install 'jax[tpu]'`) and no TPU. Whole models take minutes each. Results are kept in results/tpu_memory.json, by
program and topology, and the page shows all that are there. The programs are those of tqd_jax.plan.
"""
import argparse
import dataclasses
import importlib
import importlib.metadata
import json

import jax

from benchmarks.timing import RESULTS, write_page
from tqd_jax.config import Config
from tqd_jax.planning.beside import text_program, vae_program
from tqd_jax.planning.candidates import Candidate
from tqd_jax.planning.compiled import QUICK, measure
from tqd_jax.planning.programs import executed_as, mesh_of, train_program
from tqd_jax.planning.sizes import checked, foundation_of
from tqd_jax.planning.topology import Topology, devices_of, read_topology
from transfer_jax.runtime.config import instance, override

AT_480, AT_720, AT_704 = (832, 480, 81), (1280, 720, 81), (1280, 704, 121)
RECORDS = RESULTS / 'tpu_memory.json'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """A program of the page. what: in words. config: of configs/; changes: {key: value} of it. axes: of the mesh; batch: all clips."""
    what: str
    topology: str = 'v5e:1x1'
    bucket: tuple = AT_480
    config: str = 'wan'
    changes: dict = dataclasses.field(default_factory=dict)
    axes: dict = dataclasses.field(default_factory=dict)
    batch: int = 1
    remat: str = 'full'
    kind: str = 'train'

    def lowered(self, topology: Topology) -> jax.stages.Lowered:
        """The program, traced for the topology."""
        config = checked(override(instance(Config, importlib.import_module(f'configs.{self.config}').get_config()), self.changes))
        mesh = mesh_of({'data': 1, 'fsdp': 1, 'context': 1} | self.axes, devices_of(topology))
        if self.kind == 'text':
            return text_program(mesh)
        if self.kind != 'train':
            return vae_program(foundation_of(config, mesh).codec, mesh, self.bucket, encode=self.kind == 'vae_encode')
        candidate = Candidate(**{'data': 1, 'fsdp': 1, 'context': 1} | self.axes, remat=self.remat, batch=self.batch, accumulate=1)
        return train_program(executed_as(config, candidate), mesh, self.bucket)


PARTS = {'lora.targets': ('attention', 'cross')}
FULL = {'train.trained': 'full'}
CASES = {
    'lora': Case(what='1.3B, LoRA on attention and cross, base bfloat16', changes=PARTS),
    'lora_ffn': Case(what='1.3B, LoRA on ffn too'),
    'lora_int8': Case(what='1.3B, LoRA on attention and cross, base int8', changes=PARTS | {'wan.storage': 'int8'}),
    'lora_float8': Case(what='the same, base float8_e4m3fn', changes=PARTS | {'wan.storage': 'float8_e4m3fn'}),
    'full': Case(what='1.3B, all parameters', config='wan_full', topology='v5p:1x1x1'),
    'full_v6e': Case(what='1.3B, all parameters', config='wan_full', topology='v6e:2x4', axes={'fsdp': 8}, batch=8),
    '14b_lora': Case(what='14B, LoRA', config='wan_14b', topology='v6e:2x4', axes={'context': 8}),
    '14b_full': Case(what='14B, all parameters', config='wan_14b', changes=FULL, topology='v5p:2x2x1', bucket=AT_720, axes={'context': 4}),
    '14b_full_32': Case(what='14B, all parameters', config='wan_14b', changes=FULL, topology='v5p:2x4x4', bucket=AT_720,
                        axes={'fsdp': 8, 'context': 4}, batch=8),
    'a14b_lora': Case(what='A14B, LoRA on one expert', config='wan22_a14b', topology='v6e:2x4', axes={'fsdp': 2, 'context': 4}, batch=2),
    'ti2v_5b_lora': Case(what='TI2V-5B, LoRA', config='wan22_ti2v_5b', topology='v6e:2x4', bucket=AT_704, axes={'fsdp': 8}, batch=8),
    'ti2v_5b_lora_context': Case(what='TI2V-5B, LoRA', config='wan22_ti2v_5b', topology='v6e:2x4', bucket=AT_704, axes={'context': 8}),
    'vae_encode': Case(what='VAE of 2.1, encode, float32', kind='vae_encode'),
    'vae_decode': Case(what='VAE of 2.1, decode, float32', kind='vae_decode'),
    'vae_decode_bfloat16': Case(what='VAE of 2.1, decode, bfloat16', kind='vae_decode', changes={'wan.vae_dtype': 'bfloat16'}),
    'umt5': Case(what='UMT5-XXL, one caption of 512 tokens, bfloat16', kind='text'),
}


def keep(name, record):
    """Adds a record to the file of results, and returns all of them in the order of CASES."""
    records = json.loads(RECORDS.read_text()) if RECORDS.exists() else {}
    records[name] = record
    records = {case: records[case] for case in CASES if case in records}
    RECORDS.write_text(json.dumps(records, indent=1) + '\n')
    return records


def row(name, record):
    """A row of the page: what was compiled, and what it needs or lacks."""
    case, topology = CASES[name], read_topology(CASES[name].topology)
    mesh = ' x '.join(f'{axis} {size}' for axis, size in case.axes.items())
    seconds = f'{record["seconds"]}' + ('*' if record.get('quick', case.kind.startswith('vae')) else '')
    clip, batch = '' if case.kind == 'text' else 'x'.join(map(str, case.bucket)), case.batch if case.kind == 'train' else ''
    start, end = f'| {case.what} | {clip} | {case.topology} | {mesh} | {batch} |', f'{topology.hbm} | {seconds} |'
    if record.get('refused'):
        over = record['whole'] - topology.hbm
        return f'{start} | | | **refused: {record["whole"]:.2f}**, {over:.2f} too many | | {end}'
    sizes = ' | '.join(f'{record[part]:.2f}' for part in ('arguments', 'temporaries', 'results'))
    return f'{start} {sizes} | **{record["whole"]:.2f}** | {record["peak"]:.2f} | {end}'


def page(records):
    """Writes the page of all records."""
    versions = ', '.join(f'{name} {importlib.metadata.version(name)}' for name in ('jax', 'jaxlib', 'libtpu', 'flax', 'optax'))
    write_page('tpu_memory', 'Memory of programs on a TPU chip', [
        'Compiled ahead of time on a CPU by libtpu for the topology named; nothing ran on a TPU. GiB a device of the compiler\'s '
        '`memory_analysis()`; "whole" is arguments, temporaries and results together, "there" what libtpu leaves to programs. Whole depth. '
        'Training steps of the configs in `configs/`, as `tqd_jax.plan` compiles them: latents and text features 512 x 4096 of a cache, '
        'AdamW, moving average, whole blocks recomputed, splash attention, state donated, LoRA of rank 32 on a base in bfloat16 where '
        'nothing else is said. VAE: latent frame by latent frame (chunk 1). *: without the compiler\'s search for the fastest code, as '
        f'tqd_jax.plan compiles; on LoRA on ffn too 12.53 GiB both ways, peak 9.31 and 9.38, in 47 and 330 s. {versions}.', '',
        '| program | clip | topology | mesh | batch | arguments | temporaries | results | whole | peak | there | seconds of compiling |',
        '|---|---|---|---|---|---|---|---|---|---|---|---|', *(row(name, record) for name, record in records.items())])


def main():
    """Compiles the programs named, all by default, and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--quick', action='store_true', help='without the search for the fastest code, in a fifth of the time')
    parser.add_argument('names', nargs='*', metavar='NAME', help=f'programs, of {", ".join(CASES)}; all by default')
    args = parser.parse_args()
    jax.config.update('jax_platforms', 'cpu')
    for name in args.names or CASES:
        case = CASES[name]
        quick = args.quick or case.kind.startswith('vae')
        memory = measure(case.lowered(read_topology(case.topology)), QUICK if quick else None)
        page(keep(name, dataclasses.asdict(memory) | {'quick': quick}))


if __name__ == '__main__':
    main()
