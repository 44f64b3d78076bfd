"""Data sets of small pictures in the true layouts of those that come as folders of image files.

Every picture is noise around a brightness of its own choice, so that a test can tell which one it has.
"""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

WNIDS = ("n01443537", "n02012849", "n03126707")
WORDS = {
    "n01443537": "goldfish, Carassius auratus",
    "n02012849": "crane",
    "n03126707": "crane",
    "n07749582": "lemon",
}
ACTIONS = ("Archery", "BabyCrawling", "HandstandPushups")
CINIC10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
IMAGENETTE_WNIDS = (
    "n01440764", "n02102040", "n02979186", "n03000684", "n03028079",
    "n03394916", "n03417042", "n03425413", "n03445777", "n03888257",
)  # fmt: skip


def write_picture(
    path: Path, brightness: int = 128, size: tuple[int, int] = (40, 30), mode: str = "RGB", **options: object
) -> Path:
    """Write a picture of this width and height whose pixels vary by a little around a brightness."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(brightness).integers(-8, 9, size=(size[1], size[0], 3))
    Image.fromarray((noise + brightness).clip(0, 255).astype(np.uint8)).convert(mode).save(path, **options)
    return path


def brightness(image: Image.Image) -> int:
    """Return the mean of a picture, rounded to tens: what it was written with."""
    return 10 * round(np.asarray(image).mean() / 10)


def write_classes(
    root: Path, names: tuple[str, ...], number: int, form: str = "{0}_{1}.JPEG", **options: object
) -> None:
    """Write a folder for each class with some pictures, those of class c of the brightness 20 + 10 c."""
    for label, name in enumerate(names):
        for picture in range(number):
            write_picture(root / name / form.format(name, picture), 20 + 10 * label, **options)


def write_image_folder(root: Path, _: pytest.MonkeyPatch | None = None) -> None:
    """Write photographs of all shapes, some grey, in class folders to train and to test on."""
    write_classes(root / "train", ("cat", "dog", "owl"), 10, "{1}.jpg")
    write_classes(root / "test", ("cat", "dog", "owl"), 3, "{1}.png", size=(17, 51), mode="L")


def write_imagenet(root: Path, _: pytest.MonkeyPatch | None = None) -> None:
    """Write classes of ImageNet, one of which has a name of its own, into the folder ``imagenet``."""
    write_classes(root / "imagenet" / "train", WNIDS, 10)
    write_classes(root / "imagenet" / "val", WNIDS, 2)
    words = [f"{wnid} {words}" for wnid, words in WORDS.items()]
    (root / "imagenet" / "LOC_synset_mapping.txt").write_text("\n".join(words))


def write_imagenette(root: Path, _: pytest.MonkeyPatch | None = None) -> None:
    """Write what the archive of 160 pixels holds."""
    write_classes(root / "imagenette2-160" / "train", IMAGENETTE_WNIDS, 10)
    write_classes(root / "imagenette2-160" / "val", IMAGENETTE_WNIDS, 2)
    (root / "imagenette2-160" / "noisy_imagenette.csv").write_text("path,noisy_labels_0\n")


def write_tiny_imagenet(root: Path, _: pytest.MonkeyPatch | None = None) -> None:
    """Write classes of Tiny ImageNet, some of whose pictures are grey, into the folder ``tiny-imagenet-200``."""
    folder = root / "tiny-imagenet-200"
    for label, wnid in enumerate(WNIDS):
        for number in range(10):
            name = f"train/{wnid}/images/{wnid}_{number}.JPEG"
            write_picture(folder / name, 20 + 10 * label, (64, 64), "L" if number == 3 else "RGB")
        (folder / "train" / wnid / f"{wnid}_boxes.txt").write_text(f"{wnid}_0.JPEG\t0\t0\t62\t62\n")
    lines = []
    for number in range(6):
        write_picture(folder / "val" / "images" / f"val_{number}.JPEG", 20 + 10 * (number % 3), (64, 64))
        lines.append(f"val_{number}.JPEG\t{WNIDS[number % 3]}\t0\t0\t62\t62\n")
    write_picture(folder / "test" / "images" / "test_0.JPEG", size=(64, 64))
    (folder / "val" / "val_annotations.txt").write_text("".join(lines))
    (folder / "wnids.txt").write_text("".join(f"{wnid}\n" for wnid in WNIDS))
    (folder / "words.txt").write_text("".join(f"{wnid}\t{words}\n" for wnid, words in WORDS.items()))


def write_cinic10(root: Path, _: pytest.MonkeyPatch | None = None) -> None:
    """Write what the archive holds: three parts, with CIFAR-10's images beside ImageNet's."""
    for part, number in (("train", 6), ("valid", 3), ("test", 2)):
        write_classes(root / "CINIC-10" / part, CINIC10_CLASSES, number, "cifar10-train-{1}.png", size=(32, 32))
    (root / "CINIC-10" / "README.md").write_text("CINIC-10\n")


def write_ucf101(root: Path, _: pytest.MonkeyPatch | None = None) -> None:
    """Write three actions of two videos in each of six scenes, two of them to test on, with five frames of each video.

    Frame f of a video has the brightness 100 + 10 f.
    """
    lists = root / "ucf101" / "ucfTrainTestlist"
    lists.mkdir(parents=True)
    lines: dict[bool, list[str]] = {True: [], False: []}
    for label, action in enumerate(ACTIONS, start=1):
        for scene in range(1, 7):
            for clip in (1, 2):
                # the true files of the last action differ from it in a letter
                video = f"v_{action.replace('stand', 'Stand')}_g{scene:02d}_c{clip:02d}"
                for frame in range(5):
                    path = root / "ucf101" / "frames" / action / video / f"{frame + 1:05d}.jpg"
                    write_picture(path, 100 + 10 * frame, (43, 32))
                train = scene > 2
                lines[train].append(f"{action}/{video}.avi{f' {label}' * train}\r\n")
    (lists / "classInd.txt").write_text("".join(f"{n} {action}\r\n" for n, action in enumerate(ACTIONS, start=1)))
    (lists / "trainlist01.txt").write_text("".join(lines[True]))
    (lists / "testlist01.txt").write_text("".join(lines[False]))


FOLDER_WRITERS = {
    "cinic10": write_cinic10,
    "image_folder": write_image_folder,
    "imagenet": write_imagenet,
    "imagenette": write_imagenette,
    "tiny_imagenet": write_tiny_imagenet,
    "ucf101": write_ucf101,
}
"""``writer(root, monkeypatch)`` of each data set, by the name that its configs' folder has."""


def folder_options(data: str, root: Path) -> list[str]:
    """Return the command line's options that lead to what the writer of a data set wrote into root."""
    if data == "image_folder":
        return [f"--data.train_dir={root / 'train'}", f"--data.test_dir={root / 'test'}"]
    return [f"--data.data_dir={root}"]
