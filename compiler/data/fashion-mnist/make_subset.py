"""Makes the class-balanced part of Fashion-MNIST that this directory holds.

    python3 make_subset.py DIR_WITH_THE_FOUR_IDX_GZ_FILES

Takes the first 1,000 training and the first 200 test images of each class, in the order of the original files, and
writes them as IDX .gz beside this script. Debian packages the original as `dataset-fashion-mnist`.
"""

import gzip
import struct
import sys
from pathlib import Path

PER_CLASS = {"train": 1000, "t10k": 200}


def read(path):
    with gzip.open(path) as file:
        return file.read()


def write(path, payload):
    # a fixed time stamp and no file name: the same input gives the same bytes
    with open(path, "wb") as raw, gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=raw, mtime=0) as file:
        file.write(payload)


def main():
    source, target = Path(sys.argv[1]), Path(__file__).parent
    for part, per_class in PER_CLASS.items():
        images = read(source / f"{part}-images-idx3-ubyte.gz")
        labels = read(source / f"{part}-labels-idx1-ubyte.gz")
        magic, count, height, width = struct.unpack(">IIII", images[:16])
        assert magic == 0x803 and struct.unpack(">II", labels[:8]) == (0x801, count)
        taken = {label: 0 for label in range(10)}
        chosen = []
        for index, label in enumerate(labels[8:]):
            if taken[label] < per_class:
                taken[label] += 1
                chosen.append(index)
        size = height * width
        pixels = b"".join(images[16 + i * size : 16 + (i + 1) * size] for i in chosen)
        write(target / f"{part}-images-idx3-ubyte.gz", struct.pack(">IIII", 0x803, len(chosen), height, width) + pixels)
        write(target / f"{part}-labels-idx1-ubyte.gz", struct.pack(">II", 0x801, len(chosen)) + bytes(labels[8 + i] for i in chosen))


if __name__ == "__main__":
    main()
