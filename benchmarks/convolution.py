"""Time companion.convolution.conv2d and its gradients beside PyTorch's, in float32.

    python benchmarks/convolution.py --threads 1

Both sides run in turn, repeat by repeat, so that whatever else the machine does
slows both; the table shows medians in milliseconds, and the ratio of ours to PyTorch's.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

#: Batch, input channels, image size, output channels, kernel size; padding keeps the size.
SHAPES = (
    (32, 1, 28, 8, 3),
    (32, 8, 14, 16, 3),
    (64, 3, 32, 32, 3),
    (8, 64, 56, 64, 3),
    (8, 64, 56, 64, 1),
)


def medians(sides: list[Callable[[], Any]], repeats: int) -> list[float]:
    """Return the median time of each side in milliseconds, after one run to warm up."""
    import numpy as np

    seconds: list[list[float]] = [[] for _ in sides]
    for repeat in range(repeats + 1):
        for call, times in zip(sides, seconds, strict=True):
            start = time.perf_counter()
            call()
            if repeat:
                times.append(time.perf_counter() - start)
    return [1e3 * float(np.median(times)) for times in seconds]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=1, help="for both sides")
    parser.add_argument("--repeats", type=int, default=31)
    options = parser.parse_args()
    # The BLAS behind NumPy reads its number of threads when it is loaded.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(options.threads)
    import numpy as np
    import torch

    from companion.convolution import conv2d, conv2d_backward

    torch.set_num_threads(options.threads)
    backward = torch.ops.aten.convolution_backward
    rng = np.random.default_rng(0)
    print(f"{'(N, C, H, W) -> K, kernel':30}{'ours':>18}{'PyTorch':>10}{'ratio':>8}")
    for n, c, size, k, kernel in SHAPES:
        pad = kernel // 2
        x = rng.standard_normal((n, c, size, size), dtype=np.float32)
        weight = rng.standard_normal((k, c, kernel, kernel), dtype=np.float32)
        bias = np.zeros(k, dtype=np.float32)
        grad = rng.standard_normal((n, k, size, size), dtype=np.float32)
        x_t, weight_t, bias_t, grad_t = map(torch.from_numpy, (x, weight, bias, grad))

        static = [k], [1, 1], [pad, pad], [1, 1], False, [0, 0], 1, [True, True, True]
        sides: dict[str, list[Callable[[], Any]]] = {
            "forward": [
                partial(conv2d, x, weight, bias, padding=pad),
                partial(torch.conv2d, x_t, weight_t, bias_t, padding=pad),
            ],
            "backward": [
                partial(conv2d_backward, grad, x, weight, padding=pad),
                partial(backward, grad_t, x_t, weight_t, *static),
            ],
        }
        for what, calls in sides.items():
            ours, theirs = medians(calls, options.repeats)
            shape = f"({n}, {c}, {size}, {size}) -> {k}, {kernel} x {kernel}"
            print(f"{shape:30}{what:>9}{ours:9.2f}{theirs:10.2f}{ours / theirs:8.2f}")


if __name__ == "__main__":
    main()
