"""What accelerators can do at most, as their makers publish it."""

from typing import NamedTuple


class Peak(NamedTuple):
    """Floating point operations a second of dense matrix products, and bytes of memory a second.

    float32: as XLA multiplies float32 by default: TF32 on tensor cores, one pass in bfloat16 on a TPU.
    """

    float32: float
    bfloat16: float
    bytes: float
    source: str


def _nvidia(tf32: float, bfloat16: float, terabytes: float, sheet: str) -> Peak:
    """Figures in 10¹²; NVIDIA's own with sparsity are twice as large."""
    return Peak(tf32 * 1e12, bfloat16 * 1e12, terabytes * 1e12, f"NVIDIA's data sheet of the {sheet}, without sparsity")


def _tpu(bfloat16: float, terabytes: float, page: str) -> Peak:
    return Peak(bfloat16 * 1e12, bfloat16 * 1e12, terabytes * 1e12, f"Google Cloud's documentation of TPU {page}")


PEAKS = {
    "NVIDIA A100-SXM4-40GB": _nvidia(156.0, 312.0, 1.555, "A100 40GB SXM"),
    "NVIDIA A100-SXM4-80GB": _nvidia(156.0, 312.0, 2.039, "A100 80GB SXM"),
    "NVIDIA A100-PCIE-40GB": _nvidia(156.0, 312.0, 1.555, "A100 40GB PCIe"),
    "NVIDIA A100 80GB PCIe": _nvidia(156.0, 312.0, 1.935, "A100 80GB PCIe"),
    "NVIDIA H100 80GB HBM3": _nvidia(494.7, 989.4, 3.35, "H100 SXM"),
    "NVIDIA H100 PCIe": _nvidia(378.0, 756.0, 2.0, "H100 PCIe"),
    "NVIDIA H100 NVL": _nvidia(417.5, 835.5, 3.9, "H100 NVL"),
    "NVIDIA H200": _nvidia(494.7, 989.4, 4.8, "H200 SXM"),
    "NVIDIA L4": _nvidia(60.0, 121.0, 0.3, "L4"),
    "TPU v5 lite": _tpu(197.0, 0.819, "v5e"),
    "TPU v5e": _tpu(197.0, 0.819, "v5e"),
    "TPU v6 lite": _tpu(918.0, 1.638, "v6e"),
    "TPU v6e": _tpu(918.0, 1.638, "v6e"),
}
"""`jax.Device.device_kind` -> its peak; a device that is not here is an unknown one."""
