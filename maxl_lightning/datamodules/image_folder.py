"""The user's own images, sorted into a folder for each class."""

from typing import Any

from maxl_lightning.datamodules.photos import IMAGENET_MEAN, IMAGENET_STD, PhotoDataModule
from maxl_lightning.datamodules.split import stratified_split
from maxl_lightning.datasets.class_folders import ClassFolders, folder_names, subclasses
from maxl_lightning.datasets.naming import listed
from maxl_lightning.datasets.view import LabelledImages

__all__ = ["ImageFolderDataModule"]


class ImageFolderDataModule(PhotoDataModule):
    """Images in folders named after their classes: ``train_dir/<class>/*.jpg``, and PNG, WebP and others.

    Without a folder of test images a share of each class is held out for testing, and without one of validation
    images ``val_fraction`` of the others for validation. Both depend on ``split_seed`` alone.

    Sub-folders, ``train_dir/<class>/<sub-class>/*.jpg``, are taken for classes that a human made finer: ψ is then the
    number of sub-folders of each class unless it is given, and ``auxiliary_labels: HumanLabels`` teaches them.

    Args:
        train_dir: folder of the training images.
        test_dir: folder of the test images, with the same class folders; None holds some of the others out.
        val_dir: folder of the validation images, likewise.
        test_fraction: share of the images of ``train_dir`` to test on if there is no ``test_dir``.
        image_size: height and width of what the network sees, in pixels.
        mean: what normalisation takes from red, green and blue, of images between 0 and 1; by default ImageNet's.
        std: what it divides them by.
        psi: the hierarchy ψ; None stands for the numbers of sub-folders, if any class has several.
        **options: of :class:`ImageDataModule`; ``data_dir`` is not used.

    Raises:
        FileNotFoundError: if a folder is missing, or has no class folders.
        ValueError: if an argument is out of its range, or the folders have different classes.
    """

    def __init__(
        self,
        train_dir: str,
        test_dir: str | None = None,
        val_dir: str | None = None,
        test_fraction: float = 0.2,
        image_size: int = 224,
        mean: tuple[float, float, float] = IMAGENET_MEAN,
        std: tuple[float, float, float] = IMAGENET_STD,
        psi: int | list[int] | None = None,
        **options: Any,
    ) -> None:
        if not 0 < test_fraction < 1:
            raise ValueError(f"test_fraction is {test_fraction}: use a share between 0 and 1.")
        if min(std) <= 0:
            raise ValueError(f"std is {std}: use positive numbers.")
        self.train_dir, self.test_dir, self.val_dir = train_dir, test_dir, val_dir
        self.test_fraction = test_fraction
        self.class_names = folder_names(train_dir)
        for name, folder in {"test_dir": test_dir, "val_dir": val_dir}.items():
            if folder is not None:
                _check_same_classes(name, folder, self.class_names)
        self.mean, self.std = mean, std
        sizes = [len(names) for names in subclasses(train_dir, self.class_names)]
        super().__init__(image_size, psi=sizes if psi is None and max(sizes) > 1 else psi, **options)

    def train_source(self) -> LabelledImages:
        """Return the images of ``train_dir`` that are not for testing."""
        images = ClassFolders(self.train_dir, self.class_names)
        return images if self.test_dir is not None else images.subset(self._parts(images)[1])

    def val_source(self) -> LabelledImages | None:
        """Return the images of ``val_dir``, if there is one."""
        return None if self.val_dir is None else ClassFolders(self.val_dir, self.class_names)

    def test_source(self) -> LabelledImages:
        """Return the images of ``test_dir``, or those of ``train_dir`` that are held out for testing."""
        if self.test_dir is not None:
            return ClassFolders(self.test_dir, self.class_names)
        images = ClassFolders(self.train_dir, self.class_names)
        return images.subset(self._parts(images)[0])

    def _parts(self, images: ClassFolders) -> Any:
        size = round(self.test_fraction * len(images))
        return stratified_split(images.targets, size, self.split_seed, f"test_fraction={self.test_fraction}")


def _check_same_classes(argument: str, folder: str, classes: tuple[str, ...]) -> None:
    found = folder_names(folder)
    missing, unknown = sorted(set(classes) - set(found)), sorted(set(found) - set(classes))
    differences = [f"it lacks {listed(missing)}"] if missing else []
    differences += [f"train_dir lacks {listed(unknown)}"] if unknown else []
    if differences:
        raise ValueError(f"{argument}={folder} must have the class folders of train_dir: {'; '.join(differences)}.")
