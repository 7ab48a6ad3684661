"""Nominal rates of devices: dense bfloat16 FLOP/s by the name that JAX gives a device."""
import jax

T = 1e12
# TPU: https://cloud.google.com/tpu/docs/v4, v5e, v5p, v6e, tpu7x, "peak compute per chip (bf16)"; tpu7x is two devices of JAX a chip.
# GPU: the data sheets at https://www.nvidia.com/en-us/data-center/, bfloat16 tensor cores, dense (half of "with sparsity").
PEAKS = {
    'TPU v4': 275 * T, 'TPU v5 lite': 197 * T, 'TPU v5e': 197 * T, 'TPU v5': 459 * T, 'TPU v5p': 459 * T, 'TPU v6 lite': 918 * T,
    'TPU v6e': 918 * T, 'TPU7x': 1153.5 * T, 'NVIDIA L4': 121 * T, 'NVIDIA A100-SXM4-40GB': 312 * T, 'NVIDIA A100-SXM4-80GB': 312 * T,
    'NVIDIA A100-PCIE-40GB': 312 * T, 'NVIDIA A100 80GB PCIe': 312 * T, 'NVIDIA L40S': 362 * T, 'NVIDIA H100 PCIe': 756 * T,
    'NVIDIA H100 80GB HBM3': 989 * T, 'NVIDIA H200': 989 * T, 'NVIDIA B200': 2250 * T,
}


def peak(device: jax.Device) -> float | None:
    """Dense bfloat16 FLOP/s of a device of JAX, or None where its kind is not in PEAKS."""
    return PEAKS.get(device.device_kind)


def memory(device: jax.Device) -> int | None:
    """Bytes of a device that programs may have, or None where it does not say (a CPU)."""
    return (device.memory_stats() or {}).get('bytes_limit')


def rates(flops: float, seconds: float, devices: int, peak: float | None) -> dict[str, float]:
    """{'tflops_per_device', and 'mfu' where the peak is known} of so many FLOPs on so many devices in so many seconds."""
    each = flops / seconds / devices
    return {'tflops_per_device': each / T} | ({} if peak is None else {'mfu': each / peak})
