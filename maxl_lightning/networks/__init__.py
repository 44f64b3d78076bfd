"""Networks: the paper's trunks, the multi-task network and the label generator. Plain torch modules."""

from maxl_lightning.networks.autoencoder import Autoencoder
from maxl_lightning.networks.convnet import ConvNet4
from maxl_lightning.networks.heads import Head
from maxl_lightning.networks.label_generator import LabelGenerator
from maxl_lightning.networks.multi_task import Classifier, MultiTaskNetwork
from maxl_lightning.networks.resnet import ResNet32
from maxl_lightning.networks.trunk import Initialization, Trunk
from maxl_lightning.networks.vgg import VGG16

__all__ = [
    "VGG16",
    "Autoencoder",
    "Classifier",
    "ConvNet4",
    "Head",
    "Initialization",
    "LabelGenerator",
    "MultiTaskNetwork",
    "ResNet32",
    "Trunk",
]
