import re
import shutil

import pytest
from tiny_folders import ACTIONS, brightness, write_picture, write_ucf101

from maxl_lightning.datasets.ucf101 import UCF101Frames, ucf101_classes


@pytest.fixture
def root(tmp_path):
    write_ucf101(tmp_path)
    return tmp_path / "ucf101"


def replaced(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_a_split_has_its_videos_and_their_classes(root):
    assert ucf101_classes(root) == ACTIONS
    train, test = UCF101Frames(root), UCF101Frames(root, train=False)
    assert (len(train), len(test)) == (24, 12)
    assert not {video[:-4] for video in train.videos} & {video[:-4] for video in test.videos}
    for frames in (train, test):
        assert [ACTIONS[target] for target in frames.targets] == [video.split("/")[0] for video in frames.videos]
        assert all(f"/{video}/" in path for path, video in zip(frames.paths, frames.videos, strict=True))


@pytest.mark.parametrize(("number", "expected"), [(1, [120]), (2, [110, 130]), (3, [100, 120, 140])])
def test_frames_are_evenly_spaced_and_one_is_the_middle(root, number, expected):
    frames = UCF101Frames(root, frames_per_video=number)
    assert len(frames) == 24 * number
    assert [brightness(frames[index][0]) for index in range(number)] == expected
    assert len(set(frames.videos[:number])) == 1


def test_all_frames_of_a_video_are_all_of_them_in_order(root):
    frames = UCF101Frames(root, frames_per_video=5)
    assert [brightness(frames[index][0]) for index in range(5)] == [100, 110, 120, 130, 140]


def test_frames_are_in_the_order_of_numbers_without_zeros_too(root):
    folder = root / "frames" / "Archery" / "v_Archery_g03_c01"
    shutil.rmtree(folder)
    for number in range(1, 12):
        write_picture(folder / f"{number}.jpg", 10 * number)
    assert brightness(UCF101Frames(root)[0][0]) == 60


def test_groups_are_scenes(root):
    frames = UCF101Frames(root, frames_per_video=2)
    scenes = [re.search(r"v_(\w+_g\d+)_c", video)[1] for video in frames.videos]
    assert len(set(frames.groups)) == len(set(scenes)) == 12
    assert len(set(zip(frames.groups, scenes, strict=True))) == 12
    assert all(frames.groups.count(group) == 4 for group in frames.groups)


def test_missing_lists_say_how_to_get_them(root):
    with pytest.raises(FileNotFoundError, match=r"trainlist02.txt is missing. Fetch UCF101.rar .*UCF101DataModule"):
        UCF101Frames(root, split=2)
    with pytest.raises(FileNotFoundError, match=r"nowhere/ucfTrainTestlist/classInd.txt is missing. Fetch UCF101.rar"):
        ucf101_classes(root / "nowhere")


def test_missing_frames_are_named(root):
    shutil.rmtree(root / "frames" / "Archery" / "v_Archery_g03_c02")
    for frame in (root / "frames" / "BabyCrawling" / "v_BabyCrawling_g05_c01").iterdir():
        frame.rename(frame.with_suffix(".txt"))
    message = (
        f"{root}/frames lacks the frames of 2 of the 24 videos of trainlist01.txt: "
        "Archery/v_Archery_g03_c02, BabyCrawling/v_BabyCrawling_g05_c01. Fetch UCF101.rar"
    )
    with pytest.raises(FileNotFoundError, match=message):
        UCF101Frames(root)


def test_videos_of_too_few_frames_are_named(root):
    (root / "frames" / "Archery" / "v_Archery_g03_c02" / "00002.jpg").unlink()
    with pytest.raises(ValueError, match=r"asks for 5 frames, but 1 videos .*: Archery/v_Archery_g03_c02 \(4\)"):
        UCF101Frames(root, frames_per_video=5)


@pytest.mark.parametrize("wrong", ["Archery/v_Archery.avi", "Golf/v_Golf_g03_c01.avi", "v_Archery_g03_c01.avi"])
def test_a_malformed_line_of_a_split_is_named(root, wrong):
    path = root / "ucfTrainTestlist" / "trainlist01.txt"
    replaced(path, "Archery/v_Archery_g03_c01.avi", wrong)
    with pytest.raises(ValueError, match=f"line 1 of {path} is '{wrong} 1': it must be <class>/v_<class>_gNN_cNN"):
        UCF101Frames(root)


@pytest.mark.parametrize("wrong", ["Archery", "2 Archery", "1 Archery now"])
def test_a_malformed_line_of_the_classes_is_named(root, wrong):
    path = root / "ucfTrainTestlist" / "classInd.txt"
    replaced(path, "1 Archery", wrong)
    with pytest.raises(ValueError, match=f"line 1 of {path} is '{wrong}': it must be '1' and the name"):
        ucf101_classes(root)
