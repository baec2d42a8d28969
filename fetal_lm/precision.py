"""Which arithmetic a machine is fast in."""

from __future__ import annotations

import torch

# x86 with AVX-512 BF16 or AMX, Arm with BF16. Elsewhere bfloat16 is emulated and slower than float32.
BF16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16")


def cpu_precision() -> str:
    """Lightning's `precision` for this CPU: `bf16-mixed` where it has bfloat16 instructions, else `32-true`."""
    capabilities = torch.cpu.get_capabilities()
    return "bf16-mixed" if any(capabilities.get(name) for name in BF16_INSTRUCTIONS) else "32-true"


def accelerator_here(wanted: str) -> str:
    """Lightning's `accelerator` for what was trained on `wanted`: the CPU where this machine has no GPU."""
    return "cpu" if wanted in ("gpu", "cuda") and not torch.cuda.is_available() else wanted
