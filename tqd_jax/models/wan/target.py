"""What a program is compiled for: a platform, and of GPUs whether cuDNN has fused attention for them."""
import re

import jax

TARGETS = ('cpu', 'gpu', 'gpu_sm80', 'tpu')


def target_of(mesh):
    """'gpu_sm80' where all devices of a mesh are GPUs of compute capability 8.0 (Ampere) or higher, else their platform: 'cpu', 'gpu', ...

    mesh: None, as for a single device and in tests, stands for JAX's default devices.
    """
    devices = jax.devices() if mesh is None else mesh.devices.flat
    platform = devices[0].platform
    return 'gpu_sm80' if platform == 'gpu' and all(_major(device) >= 8 for device in devices) else platform


def chip_of(mesh):
    """The kind of a mesh's devices as JAX names it, such as 'TPU v5' of a v5p; of JAX's default devices where mesh is None."""
    return (jax.devices() if mesh is None else mesh.devices.flat)[0].device_kind


def _major(device):
    """The 7 of a compute capability such as '7.5'; 0 where there is none, as for AMD, which names an architecture."""
    found = re.match(r'(\d+)\.\d', str(getattr(device, 'compute_capability', '')))
    return int(found[1]) if found else 0
