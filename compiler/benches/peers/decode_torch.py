"""Images a second that PyTorch's data loader makes out of a folder of classes, as ImageNet is trained with.

    python decode_torch.py DIRECTORY WORKERS

Decoding and scaling are Pillow's, the crops those of torchvision's `RandomResizedCrop`: 8 to 100 % of the area, proportions from 3:4 to
4:3, scaled to 224 x 224 with antialiased bilinear weights; half are mirrored, all normalised. Workers have an epoch to warm up.
"""

import math
import random
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

SIZE = 224
MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
STD = np.array([0.229, 0.224, 0.225], dtype=np.float32)


def crop(width, height):
    """A box as `RandomResizedCrop.get_params` draws it."""
    for _ in range(10):
        area = width * height * random.uniform(0.08, 1.0)
        ratio = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = random.randint(0, width - w), random.randint(0, height - h)
            return left, top, left + w, top + h
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side


class Folder(Dataset):
    def __init__(self, root):
        root = root / "train" if (root / "train").is_dir() else root
        self.files = sorted(path for path in root.glob("*/*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        with Image.open(self.files[index]) as file:
            image = file.convert("RGB")
        image = image.crop(crop(*image.size)).resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        if random.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        values = (np.asarray(image, dtype=np.float32) / 255 - MEAN) / STD
        return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))


def main():
    torch.set_num_threads(1)
    folder = Folder(Path(sys.argv[1]))
    loader = DataLoader(folder, batch_size=64, shuffle=True, num_workers=int(sys.argv[2]), persistent_workers=True)
    for _ in range(2):
        started = time.perf_counter()
        images = sum(len(batch) for batch in loader)
        rate = images / (time.perf_counter() - started)
    print(rate)


if __name__ == "__main__":
    main()
