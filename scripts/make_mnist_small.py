"""Make the embedded data set mnist-small from the four official MNIST files.

Draws 10,000 of the 60,000 training images and 2,000 of the 10,000 test images at random, with the classes'
proportions kept, and writes them as gzipped IDX files. The same input gives the same files.
"""

import argparse
import sys
from pathlib import Path

from fastnn.datasets import mnist
from fastnn.datasets.idx import idx_sha256, write_idx
from fastnn.datasets.split import draw

PACKAGE_DATA = Path(__file__).resolve().parent.parent / "fastnn" / "datasets" / "mnist_small"
TRAIN, TEST, SEED = 10_000, 2_000, 0


def main() -> int:
    """Read, draw, write, and say what was written."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder of the official files, raw or gzipped")
    parser.add_argument(
        "--output", type=Path, default=PACKAGE_DATA, help="where to write (default: the package)"
    )
    arguments = parser.parse_args()
    try:
        arrays = mnist.read_folder(arguments.folder)
        train, test = draw(arrays[1], TRAIN, SEED), draw(arrays[3], TEST, SEED)
        arguments.output.mkdir(parents=True, exist_ok=True)
        for file, array, drawn in zip(mnist.FILES, arrays, (train, train, test, test), strict=True):
            path = arguments.output / f"{file.name}.gz"
            write_idx(path, array[drawn])
            print(f"{path.name}: shape {array[drawn].shape}, {path.stat().st_size} bytes")
            print(f"    SHA-256 of the content: {idx_sha256(array[drawn])}")
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
