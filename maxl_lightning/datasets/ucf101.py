"""UCF-101 as still frames, with the official splits."""

import re
from collections.abc import Sequence
from pathlib import Path

from maxl_lightning.datasets.image_files import ImageFiles
from maxl_lightning.datasets.naming import listed

__all__ = ["UCF101Frames", "ucf101_classes"]

LISTS = "ucfTrainTestlist"
"""The folder of the official split files."""

_HOW_TO_GET = (
    "Fetch UCF101.rar and UCF101TrainTestSplits-RecognitionTask.zip from https://www.crcv.ucf.edu/data/UCF101.php, "
    "unpack both, and extract the frames with the command in the documentation of UCF101DataModule; name the folder "
    "that holds ucf101 with --data.data_dir or the environment variable MAXL_DATA_DIR."
)


class UCF101Frames(ImageFiles):
    """Some frames of each video of a split, each an image of the video's class.

    The frames are the middles of equally long parts of the video: one frame is the middle one.

    Source: Soomro, Zamir and Shah, *UCF101: A Dataset of 101 Human Actions Classes From Videos in The Wild*, 2012.

    Args:
        root: folder that holds ``frames/<class>/<video>/*.jpg`` and ``ucfTrainTestlist/*.txt``.
        split: 1, 2 or 3, the official split.
        train: the training videos, or else the test videos.
        frames_per_video: frames of each video, at least 1.

    Attributes:
        targets: class of each frame.
        groups: number of the scene of each frame. Videos of a class were cut from 25 scenes, in which the same person
            acts before the same background; the official splits keep each scene on one side.
        videos: name of the video of each frame, such as "Archery/v_Archery_g08_c01".

    Raises:
        FileNotFoundError: if the lists or the frames of a video are missing.
        ValueError: if a line of a list is malformed, or a video has fewer frames than asked for.
    """

    def __init__(self, root: str | Path, split: int = 1, train: bool = True, frames_per_video: int = 1) -> None:
        path = Path(root, LISTS, f"{'train' if train else 'test'}list{split:02d}.txt")
        classes = {name: number for number, name in enumerate(ucf101_classes(root))}
        listing = _videos(path, classes)
        frames = {video: _frames(Path(root, "frames", video)) for video in listing}
        _check_frames(frames, frames_per_video, Path(root, "frames"), path)
        chosen = [(file, video) for video in listing for file in _spread(frames[video], frames_per_video)]
        self.videos = [video for _, video in chosen]
        scenes = {scene: number for number, scene in enumerate(dict.fromkeys(map(_scene, listing)))}
        self.groups = [scenes[_scene(video)] for video in self.videos]
        super().__init__([file for file, _ in chosen], [classes[video.split("/")[0]] for video in self.videos])


def ucf101_classes(root: str | Path) -> tuple[str, ...]:
    """Return the names of the classes, as ``ucfTrainTestlist/classInd.txt`` lists them.

    Args:
        root: folder that holds ``ucfTrainTestlist``.

    Raises:
        FileNotFoundError: if the list is missing; the message says how to get it.
        ValueError: naming the first line that is not a number, from 1 upwards, and a name.
    """
    path = Path(root, LISTS, "classInd.txt")
    names = []
    for line, text in enumerate(_lines(path), start=1):
        words = text.split()
        if len(words) != 2 or words[0] != str(line):
            raise ValueError(f"line {line} of {path} is {text!r}: it must be '{line}' and the name of a class.")
        names.append(words[1])
    return tuple(names)


def _videos(path: Path, classes: dict[str, int]) -> list[str]:
    """Return the videos of a split file, of which each line begins with ``<class>/<video>.avi``."""
    videos = []
    for line, text in enumerate(_lines(path), start=1):
        match = re.fullmatch(r"(\w+)/(v_\w+_g\d+_c\d+)\.avi(\s+\d+)?", text)
        if match is None or match[1] not in classes:
            raise ValueError(
                f"line {line} of {path} is {text!r}: it must be <class>/v_<class>_gNN_cNN.avi with a class of classInd."
            )
        videos.append(f"{match[1]}/{match[2]}")
    return videos


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise FileNotFoundError(f"UCF-101 was not found: {path.absolute()} is missing. {_HOW_TO_GET}")
    return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _frames(folder: Path) -> list[Path]:
    """Return the frames of a video in order, whether or not their numbers begin with zeros."""
    files = folder.iterdir() if folder.is_dir() else ()
    frames = [file for file in files if file.suffix.lower() in (".jpg", ".jpeg", ".png")]
    return sorted(frames, key=lambda file: (len(file.name), file.name))


def _spread(frames: Sequence[Path], number: int) -> list[Path]:
    return [frames[(2 * part + 1) * len(frames) // (2 * number)] for part in range(number)]


def _check_frames(frames: dict[str, list[Path]], number: int, folder: Path, path: Path) -> None:
    missing = [video for video, files in frames.items() if not files]
    short = [f"{video} ({len(files)})" for video, files in frames.items() if len(files) < number]
    if missing:
        raise FileNotFoundError(
            f"{folder.absolute()} lacks the frames of {len(missing)} of the {len(frames)} videos of {path.name}: "
            f"{listed(missing, 5)}. {_HOW_TO_GET}"
        )
    if short:
        raise ValueError(
            f"frames_per_video asks for {number} frames, but {len(short)} videos in {folder} have fewer: "
            f"{listed(short, 5)}. Choose a smaller number, or extract more frames."
        )


def _scene(video: str) -> str:
    return video.rpartition("_c")[0]
