"""UCF-101: human actions, told from still frames of videos."""

from collections.abc import Sequence
from typing import Any, Literal

from torch import Tensor

from maxl_lightning.datamodules.photos import PhotoDataModule
from maxl_lightning.datasets.arguments import check_at_least, data_folder
from maxl_lightning.datasets.ucf101 import UCF101Frames, ucf101_classes
from maxl_lightning.datasets.view import LabelledImages

__all__ = ["UCF101DataModule"]


class UCF101DataModule(PhotoDataModule):
    """UCF-101's 13,320 videos of 101 actions as still frames of 32×32 pixels, with one of the official splits.

    Accuracy is that of frames, each judged by itself. Frames of one scene (the same person before the same
    background) are never both trained and validated on: the official splits part scenes, and so does the share that
    is held out for validation, which is ``val_fraction`` of the scenes. The paper's way from video to image was not
    released; cropping, flipping and normalisation are the authors' for CIFAR-100.

    To make ``data_dir/folder``, unpack UCF101.rar and UCF101TrainTestSplits-RecognitionTask.zip of
    https://www.crcv.ucf.edu/data/UCF101.php there, which gives ``UCF-101/<class>/*.avi`` and ``ucfTrainTestlist``,
    and extract five small frames of each second, into ``frames/<class>/<video>/*.jpg``::

        for video in UCF-101/*/*.avi; do
            frames="frames/${video#UCF-101/}"; frames="${frames%.avi}"; mkdir -p "$frames"
            ffmpeg -nostdin -loglevel error -i "$video" -vf fps=5,scale=-2:64 -q:v 2 "$frames/%05d.jpg"
        done

    Source: Soomro, Zamir and Shah, *UCF101: A Dataset of 101 Human Actions Classes From Videos in The Wild*, 2012.

    Args:
        split: the official split.
        frames_per_video: how many frames of each video, evenly spaced; 1 takes the middle one.
        folder: the folder of frames and split files below ``data_dir``.
        image_size: height and width of what the network sees, in pixels.
        data_dir: folder of the data; None stands for the environment variable MAXL_DATA_DIR, else "data".
        **options: of :class:`ImageDataModule`.

    Raises:
        FileNotFoundError: if the split files are not there; the message says how to get them.
        ValueError: if an argument is out of its range.
    """

    mean = (0.5, 0.5, 0.5)
    std = (0.2, 0.2, 0.2)

    def __init__(
        self,
        split: Literal[1, 2, 3] = 1,
        frames_per_video: int = 1,
        folder: str = "ucf101",
        image_size: int = 32,
        data_dir: str | None = None,
        **options: Any,
    ) -> None:
        check_at_least(1, frames_per_video=frames_per_video)
        if split not in (1, 2, 3):
            raise ValueError(f"split is {split!r}: choose 1, 2 or 3.")
        self.root = data_folder(data_dir) / folder
        self.split = split
        self.frames_per_video = frames_per_video
        self.class_names = ucf101_classes(self.root)
        super().__init__(image_size, data_dir=data_dir, **options)

    def train_source(self) -> LabelledImages:
        """Return the frames of the split's training videos."""
        return UCF101Frames(self.root, self.split, train=True, frames_per_video=self.frames_per_video)

    def test_source(self) -> LabelledImages:
        """Return the frames of the split's test videos."""
        return UCF101Frames(self.root, self.split, train=False, frames_per_video=self.frames_per_video)

    def groups(self, source: LabelledImages) -> Sequence[int] | Tensor | None:
        """Return the scenes, each of which a split keeps together."""
        return source.groups if isinstance(source, UCF101Frames) else super().groups(source)
