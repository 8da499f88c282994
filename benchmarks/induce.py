"""What inducing a tree costs, against scikit-learn's AgglomerativeClustering in the same run.

    python benchmarks/induce.py [--classes 21841] [--features 512]

Each side runs in a process of its own, whose peak memory is the operating system's figure.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time

import numpy as np


def rows_of(classes: int, features: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(classes, features)).astype(np.float32)


def run(side: str, classes: int, features: int) -> None:
    rows = rows_of(classes, features)
    start = time.perf_counter()
    if side == "nbdt":
        from nbdt.hierarchy.induce import induce

        start = time.perf_counter()
        induce(rows)
    else:
        from sklearn.cluster import AgglomerativeClustering

        start = time.perf_counter()
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        AgglomerativeClustering(distance_threshold=0, n_clusters=None).fit(unit)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{seconds} {peak}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classes", type=int, nargs="*", default=[1000, 21_841])
    parser.add_argument("--features", type=int, default=512)
    parser.add_argument("--side", choices=["nbdt", "scikit-learn"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        run(options.side, options.classes[0], options.features)
        return
    print("| rows | nbdt.induce | scikit-learn | ratio | peak memory of nbdt.induce |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for classes in options.classes:
        found = {}
        for side in ("nbdt", "scikit-learn"):
            command = [sys.executable, __file__, "--side", side]
            command += ["--classes", str(classes), "--features", str(options.features)]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found[side] = [float(word) for word in output.split()]
        (ours, peak), (theirs, _) = found["nbdt"], found["scikit-learn"]
        print(
            f"| {classes:,} × {options.features} | {ours:.2f} s | {theirs:.2f} s "
            f"| {ours / theirs:.2f} | {peak:.1f} GB |",
            flush=True,
        )


if __name__ == "__main__":
    main()
