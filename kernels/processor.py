"""The processor that the kernels are compiled for, and the vector width and register tile chosen for it."""

import os
import platform
from dataclasses import dataclass
from functools import cache

import llvmlite.binding as llvm

WIDTH_VARIABLE = "FASTNN_VECTOR_WIDTH"

# Rows of the register tile; it is always two vectors wide. Rows * 2 accumulators + 2 vectors of the second operand
# must fit the register file, and the 8-10 FMAs in flight (latency 4-5, two pipes) must find independent accumulators.
#   512 bit, 32 registers: 12 rows, 24 accumulators. 256 and 128 bit, 16 registers: 6 rows, 12 accumulators.
_TILE_ROWS = {512: 12, 256: 6, 128: 6}


@dataclass(frozen=True)
class Host:
    """What the kernels need to know of the processor."""

    processor: str  # the model, as the operating system names it
    architecture: str  # LLVM's name, such as "znver3"
    features: frozenset[str]  # LLVM's names of the instruction sets
    vector_bits: int  # 512, 256 or 128
    tile_rows: int


def _features() -> frozenset[str]:
    return frozenset(name for name, present in llvm.get_host_cpu_features().items() if present)


def supported_widths() -> tuple[int, ...]:
    """Vector widths in bits that this processor can run, widest first; 128 is the portable one."""
    features = _features()
    widths = []
    if "avx512f" in features:
        widths.append(512)
    if {"avx2", "fma"} <= features:
        widths.append(256)
    return (*widths, 128)


def _chosen_width() -> int:
    widths = supported_widths()
    forced = os.environ.get(WIDTH_VARIABLE, "").strip()
    if not forced:
        return widths[0]
    if forced not in {str(width) for width in widths}:
        choices = ", ".join(str(width) for width in widths)
        raise ValueError(f"{WIDTH_VARIABLE} is {forced!r}; this processor runs {choices}")
    return int(forced)


def _processor_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


@cache
def host() -> Host:
    """Describe this processor; the width may be forced with FASTNN_VECTOR_WIDTH (ValueError if it cannot run it)."""
    width = _chosen_width()
    return Host(_processor_name(), llvm.get_host_cpu_name(), _features(), width, _TILE_ROWS[width])


VECTOR_BYTES = host().vector_bits // 8

ARCHITECTURE = llvm.get_process_triple().split("-")[0]
"""What instructions there are at all, as LLVM names it: x86_64, aarch64 (arm64 on macOS)."""
