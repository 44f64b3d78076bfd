import re

import pytest
from tiny_folders import ACTIONS, write_ucf101

from maxl_lightning import UCF101DataModule


@pytest.fixture
def root(tmp_path):
    write_ucf101(tmp_path)
    return tmp_path


def ready(root, **options):
    datamodule = UCF101DataModule(data_dir=str(root), num_workers=0, **options)
    datamodule.setup()
    return datamodule


def scenes(part):
    """Return action and number of the scenes that a part has frames of."""
    return {re.search(r"v_(\w+)_g(\d+)_c", part.source.videos[index]).groups() for index in part.indices.tolist()}


def test_classes_are_those_of_the_list(root):
    assert UCF101DataModule(data_dir=str(root)).class_names == ACTIONS


@pytest.mark.parametrize("split_seed", range(5))
def test_no_scene_is_on_both_sides_of_a_split(root, split_seed):
    datamodule = ready(root, val_fraction=0.25, frames_per_video=3, split_seed=split_seed)
    train, val, test = (scenes(part) for part in (datamodule.train_set, datamodule.val_set, datamodule.test_set))
    assert (len(train), len(val), len(test)) == (9, 3, 6)
    assert not train & val
    assert not (train | val) & test
    assert datamodule.val_set.targets.bincount().tolist() == [6, 6, 6]  # a scene of two videos of each action


def test_splits_follow_their_seed(root):
    chosen = [scenes(ready(root, val_fraction=0.25, split_seed=seed).val_set) for seed in (0, 0, 1, 2)]
    assert chosen[0] == chosen[1]
    assert len({frozenset(part) for part in chosen}) > 1


def test_all_scenes_are_trained_on_without_validation(root):
    datamodule = ready(root, val_fraction=0)
    assert (len(datamodule.train_set), len(datamodule.val_set)) == (24, 0)


def test_a_share_too_small_for_a_scene_of_each_action_is_refused(root):
    with pytest.raises(ValueError, match=r"val_fraction=0.1 asks for 1 of 12 groups, but these are of 3 classes"):
        ready(root)


@pytest.mark.parametrize(
    ("options", "message"), [({"split": 4}, "split is 4: choose"), ({"frames_per_video": 0}, "frames_per_video is 0")]
)
def test_arguments_out_of_range_are_named(root, options, message):
    with pytest.raises(ValueError, match=message):
        UCF101DataModule(data_dir=str(root), **options)
