"""Small networks, optimisers and batches that the hypergradient tests share."""

import torch
from torch import nn

from maxl_lightning.functional import focal_loss, negative_entropy
from maxl_lightning.hypergradient import MetaProblem, MicroBatch, clipped, make_clipping, make_lookahead
from maxl_lightning.networks import VGG16, ConvNet4, LabelGenerator, MultiTaskNetwork, ResNet32

PSI = (3, 1, 2)


class SmoothTrunk(nn.Module):
    """GELU and average pooling only, so that finite differences converge."""

    def __init__(self, channels=3):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(channels, 6, 3, padding=1), nn.GELU(), nn.AvgPool2d(2), nn.Conv2d(6, 8, 3, padding=1), nn.GELU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 8), nn.GELU(),
        )  # fmt: skip
        self.out_features = 8

    def forward(self, x):
        return self.net(x)


class DropoutTrunk(SmoothTrunk):
    def __init__(self):
        super().__init__()
        self.net.insert(7, nn.Dropout(0.4))


TRUNKS = {
    "smooth": (SmoothTrunk, 8),
    "dropout": (DropoutTrunk, 8),
    "convnet4": (lambda: ConvNet4(channels=(4, 6, 8, 8)), 12),
    "resnet32": (ResNet32, 8),
    "vgg16": (VGG16, 32),
}

OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "sgd_decay": lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.01),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "dampening": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.3, weight_decay=0.01),
    "nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.8, nesterov=True, weight_decay=0.01),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.01),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1, betas=(0.8, 0.95)),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01, eps=1e-4),
}


def batch(n=6, size=8, channels=3, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, channels, size, size, generator=generator, dtype=torch.float64).to(dtype)
    return MicroBatch(x, torch.randint(3, (n,), generator=generator))


def networks(trunk="smooth", dtype=torch.float64, seed=0, psi=PSI):
    torch.manual_seed(seed)
    make, size = TRUNKS[trunk]
    network = MultiTaskNetwork(3, psi, make()).to(dtype)
    generator = LabelGenerator(3, psi, make()).to(dtype)
    return network, generator, size


def smoothen(*modules):
    """Replace the heads' ReLU by GELU."""
    for module in modules:
        for parent in list(module.modules()):
            for name, child in parent.named_children():
                if isinstance(child, nn.ReLU):
                    setattr(parent, name, nn.GELU())


def problem(network, generator, gamma=2.0, weight=1.0, entropy=0.2, **options):
    return MetaProblem(
        network,
        generator,
        lambda z, y: focal_loss(z, y, gamma),
        lambda z, s: focal_loss(z, s, gamma),
        weight,
        lambda m: entropy * negative_entropy(m),
        **options,
    )


def grouped(optimizer, network):
    """Build an optimiser with two parameter groups of different rates."""
    parameters = list(network.parameters())
    made = optimizer([{"params": parameters[:3]}, {"params": parameters[3:]}])
    made.param_groups[1]["lr"] *= 0.5
    return made


def warm(optimizer, network, steps=2, size=8):
    """Take real steps, so that the optimiser has a state."""
    for step in range(steps):
        x, y, _ = batch(size=size, seed=100 + step, dtype=next(network.parameters()).dtype)
        primary, auxiliary = network(x)
        loss = focal_loss(primary, y).mean() + focal_loss(auxiliary, auxiliary.detach().softmax(1)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    optimizer.zero_grad()
    return optimizer


def lookahead(optimizer, network, kind="optimizer", limit=None, algorithm="norm", **options):
    return clipped(make_clipping(limit, algorithm), make_lookahead(optimizer, network, kind, **options))


def distance(a, b):
    """Relative error over all parameters together."""
    assert a.keys() == b.keys()
    difference = sum(((a[n] - b[n]).double() ** 2).sum() for n in a) ** 0.5
    return float(difference / sum((b[n].double() ** 2).sum() for n in b) ** 0.5)
