"""The networks of the benchmarks in PyTorch, parameter for parameter those of `models/src/nets/`.

    python networks.py

prints the parameters and multiply-accumulates of each network beside the published ones (K = 100, 32x32) and ends with
an error where they differ. The `forward` of a network gives `(features, logits)`: the map that distillation takes, and
K scores.

Sources: ResNets, He et al. 2015, arXiv:1512.03385; VGG, Simonyan and Zisserman 2014, arXiv:1409.1556; MobileNetV2,
Sandler et al. 2018, arXiv:1801.04381. Parameter names are those of the checkpoints of
github.com/HobbitLong/RepDistiller, and of github.com/akamaster/pytorch_resnet_cifar10 for option A. ReLUs and sums are
in place, as there.
"""

import torch
from torch import nn
from torch.nn import functional as F


def pooled(x):
    """Global average: (N, C, H, W) to (N, C)."""
    return F.adaptive_avg_pool2d(x, 1).flatten(1)


def conv(inputs, outputs, kernel, stride=1, groups=1):
    """A convolution that keeps the size at stride 1, without bias."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)


def conv_bn_relu(inputs, outputs, kernel, stride=1, groups=1):
    """The three modules, to be put in a sequence."""
    return [conv(inputs, outputs, kernel, stride, groups), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch norm, the shortcut added before the last ReLU."""

    def __init__(self, inputs, width, stride, option_a):
        super().__init__()
        self.conv1 = conv(inputs, width, 3, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv(width, width, 3)
        self.bn2 = nn.BatchNorm2d(width)
        self.width, self.stride = width, stride
        self.changes = stride != 1 or inputs != width
        if self.changes and not option_a:
            self.downsample = nn.Sequential(conv(inputs, width, 1, stride), nn.BatchNorm2d(width))

    def shortcut(self, x):
        if not self.changes:
            return x
        if hasattr(self, "downsample"):
            return self.downsample(x)
        side = self.width // 4
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, side, side))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        y += self.shortcut(x)
        return F.relu(y, inplace=True)


class ResNet(nn.Module):
    """CIFAR ResNet: a stem, then three stages that halve the map twice. Features: the last stage's output."""

    def __init__(self, classes, depth, widths, option_a=False):
        super().__init__()
        stem, *stages = widths
        self.conv1 = conv(3, stem, 3)
        self.bn1 = nn.BatchNorm2d(stem)
        inputs = stem
        for stage, width in enumerate(stages):
            blocks = []
            for block in range((depth - 2) // 6):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(BasicBlock(inputs, width, stride, option_a))
                inputs = width
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.head = "linear" if option_a else "fc"
        setattr(self, self.head, nn.Linear(inputs, classes))

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        features = self.layer3(self.layer2(self.layer1(x)))
        return features, getattr(self, self.head)(pooled(features))


class Vgg(nn.Module):
    """VGG with batch norm, for 32x32 images: no pooling after block 3. Features: block 4 after its ReLU."""

    def __init__(self, classes, convolutions):
        super().__init__()
        inputs = 3
        for block, width in enumerate([64, 128, 256, 512, 512]):
            modules = []
            for _ in range(convolutions):
                modules += [nn.Conv2d(inputs, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
                inputs = width
            setattr(self, f"block{block}", nn.Sequential(*modules[:-1]))
        self.classifier = nn.Linear(inputs, classes)

    def forward(self, x):
        for block in range(5):
            x = F.relu(getattr(self, f"block{block}")(x), inplace=True)
            if block < 3:
                x = F.max_pool2d(x, 2)
        return x, self.classifier(pooled(x))


class InvertedResidual(nn.Module):
    """Expand 1x1 (also where `expansion` is 1), depthwise 3x3, linear 1x1; a sum where the shape stays."""

    def __init__(self, inputs, outputs, stride, expansion):
        super().__init__()
        hidden = inputs * expansion
        self.conv = nn.Sequential(
            *conv_bn_relu(inputs, hidden, 1),
            *conv_bn_relu(hidden, hidden, 3, stride, groups=hidden),
            conv(hidden, outputs, 1),
            nn.BatchNorm2d(outputs),
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x):
        y = self.conv(x)
        return x + y if self.residual else y


class MobileNetV2(nn.Module):
    """MobileNetV2 for CIFAR, T = 6, plain ReLU. Features: the last inverted residual's linear output."""

    # channels at width 1, blocks, stride of the first block
    STAGES = [(16, 1, 1), (24, 2, 1), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1)]

    def __init__(self, classes, width):
        super().__init__()
        inputs = int(32 * width)
        self.conv1 = nn.Sequential(*conv_bn_relu(3, inputs, 3, 2))
        self.blocks = nn.ModuleList()
        for stage, (channels, count, first_stride) in enumerate(self.STAGES):
            outputs = int(channels * width)
            blocks = []
            for block in range(count):
                stride = first_stride if block == 0 else 1
                blocks.append(InvertedResidual(inputs, outputs, stride, 1 if stage == 0 else 6))
                inputs = outputs
            self.blocks.append(nn.Sequential(*blocks))
        self.conv2 = nn.Sequential(*conv_bn_relu(inputs, 1280, 1))
        self.classifier = nn.Sequential(nn.Linear(1280, classes))

    def forward(self, x):
        x = self.conv1(x)
        for stage in self.blocks:
            x = stage(x)
        return x, self.classifier(pooled(self.conv2(x)))


NARROW, QUADRUPLE = (16, 16, 32, 64), (32, 64, 128, 256)
NETWORKS = {
    "resnet8x4": lambda classes: ResNet(classes, 8, QUADRUPLE),
    "resnet32x4": lambda classes: ResNet(classes, 32, QUADRUPLE),
    "resnet38": lambda classes: ResNet(classes, 38, NARROW),
    "resnet8": lambda classes: ResNet(classes, 8, NARROW, option_a=True),
    "resnet20": lambda classes: ResNet(classes, 20, NARROW, option_a=True),
    "vgg8": lambda classes: Vgg(classes, 1),
    "vgg13": lambda classes: Vgg(classes, 2),
    "mobilenetv2_0.5": lambda classes: MobileNetV2(classes, 0.5),
    "mobilenetv2_1.0": lambda classes: MobileNetV2(classes, 1.0),
}


def build(name, classes):
    """A network of the table above with `classes` outputs."""
    if name not in NETWORKS:
        raise ValueError(f"no network '{name}': there are {', '.join(NETWORKS)}")
    return NETWORKS[name](classes)


# parameters and multiply-accumulates of convolutions and linear layers, as the authors' code has them
PUBLISHED = {
    "resnet8x4": (1_233_540, 177_071_104),
    "resnet32x4": (7_433_860, 1_083_040_768),
    "resnet38": (569_972, 83_286_272),
    "vgg8": (3_965_028, 96_192_512),
    "vgg13": (9_462_180, 284_936_192),
    "mobilenetv2_0.5": (812_836, 6_523_648),
    "mobilenetv2_1.0": (2_353_060, 22_381_056),
}


def counts(network):
    """Parameters, and multiply-accumulates of one 32x32 image."""
    macs = 0

    def add(module, _, output):
        nonlocal macs
        # a weight's dimensions after the first are what one output element sums over
        macs += output.numel() * module.weight[0].numel()

    hooks = [m.register_forward_hook(add) for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    with torch.inference_mode():
        network.eval()(torch.zeros(1, 3, 32, 32))
    for hook in hooks:
        hook.remove()
    return sum(parameter.numel() for parameter in network.parameters()), macs


def main():
    print(f"{'network':16} {'parameters':>11} {'MACs':>14}  published")
    wrong = []
    for name in NETWORKS:
        got = counts(build(name, 100))
        want = PUBLISHED.get(name)
        verdict = "not in the table" if want is None else "equal" if got == want else f"DIFFERS: {want}"
        print(f"{name:16} {got[0]:>11,} {got[1]:>14,}  {verdict}")
        if want not in (None, got):
            wrong.append(name)
    if wrong:
        raise SystemExit(f"counts differ: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
