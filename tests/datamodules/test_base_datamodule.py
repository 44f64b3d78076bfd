from types import SimpleNamespace

import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import seed_everything
from matplotlib.figure import Figure
from numbered import NumberedDataModule, fitted, numbers

from maxl_lightning.labels import AuxiliaryLabels, UniformLabels

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*across ranks is zero"),
]


class IndexLabels(AuxiliaryLabels):
    """The image's number, read off its unaugmented pixels, modulo Σψ."""

    def __call__(self, dataset, psi):
        return torch.tensor([numbers(image[None])[0] % sum(psi) for image, _ in dataset])


class WrongLabels(AuxiliaryLabels):
    def __call__(self, dataset, psi):
        return torch.full((len(dataset),), sum(psi))


def ready(**arguments):
    datamodule = NumberedDataModule(**arguments)
    datamodule.setup()
    return datamodule


def shown(datamodule, epoch=0):
    loader = datamodule.train_dataloader()
    loader.sampler.set_epoch(epoch)
    return [number for images, *_ in loader for number in numbers(images)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": 1.5}, "batch_size is 1.5"),
        ({"eval_batch_size": -1}, "eval_batch_size is -1"),
        ({"num_workers": -1}, "num_workers is -1"),
        ({"num_train": 0}, "num_train is 0"),
        ({"val_fraction": 1.0}, "val_fraction is 1.0"),
        ({"val_fraction": -0.1}, "val_fraction is -0.1"),
        ({"seed": -1}, "seed is -1"),
        ({"split_seed": 2**32}, "split_seed is 4294967296"),
        ({"psi": [5]}, "psi has 1 entries but there are 2 primary classes"),
        ({"psi": [5, 0]}, r"psi\[1\] is 0"),
        ({"psi": -3}, r"psi\[0\] is -3"),
        ({"auxiliary_labels": UniformLabels()}, "auxiliary_labels need psi"),
    ],
)
def test_arguments_out_of_range_are_named_at_construction(arguments, message):
    with pytest.raises(ValueError, match=message):
        NumberedDataModule(**arguments)


def test_psi_is_one_number_per_class():
    assert NumberedDataModule().psi is None
    assert NumberedDataModule(psi=3).psi == (3, 3)
    assert NumberedDataModule(psi=[3, 1]).psi == (3, 1)


def test_the_data_folder_comes_from_argument_environment_or_default(monkeypatch):
    monkeypatch.delenv("MAXL_DATA_DIR", raising=False)
    assert str(NumberedDataModule().data_dir) == "data"
    monkeypatch.setenv("MAXL_DATA_DIR", "/elsewhere")
    assert str(NumberedDataModule().data_dir) == "/elsewhere"
    assert str(NumberedDataModule(data_dir="/here").data_dir) == "/here"


def test_splits_are_disjoint_stratified_and_of_the_sizes_asked_for():
    datamodule = ready(val_fraction=0.25, num_train=20)
    train, val = datamodule.train_set, datamodule.val_set
    assert (len(train), len(val), len(datamodule.test_set)) == (20, 10, 6)
    assert not set(train.indices.tolist()) & set(val.indices.tolist())
    assert train.targets.bincount().tolist() == [10, 10]
    assert val.targets.bincount().tolist() == [5, 5]


def test_splits_depend_on_split_seed_alone():
    def splits(**arguments):
        datamodule = ready(val_fraction=0.25, **arguments)
        return datamodule.train_set.indices.tolist(), datamodule.val_set.indices.tolist()

    assert splits(seed=0) == splits(seed=1)
    assert splits(split_seed=0) != splits(split_seed=1)
    assert splits()[1] == splits(num_train=10)[1]


def test_more_training_images_than_there_are_is_refused():
    with pytest.raises(ValueError, match="num_train is 31, but only 30 images are left"):
        ready(val_fraction=0.25, num_train=31)


def test_primary_classes_without_a_name_are_refused():
    datamodule = NumberedDataModule()
    source = datamodule.train_source()
    source.targets = source.targets + 1
    datamodule.train_source = lambda: source
    with pytest.raises(ValueError, match="primary classes from 1 to 2, but class_names gives 2 names"):
        datamodule.setup("fit")


@pytest.mark.parametrize("stage", ["fit", "validate"])
def test_a_class_without_a_training_image_is_named(stage):
    datamodule = NumberedDataModule(size=1)  # the image 0 is even
    with pytest.raises(ValueError, match=r"no training image of the class 'odd' \(number 1 of 2 classes\)"):
        datamodule.setup(stage)


@pytest.mark.parametrize(("psi", "named"), [([3, 11], "11 auxiliary classes of the class 'odd'"), (11, "'even'")])
def test_more_auxiliary_classes_than_images_of_a_class_are_refused(psi, named):
    assert len(ready(num_train=20, psi=[10, 10]).train_set) == 20
    with pytest.raises(ValueError, match=f"psi asks for .*{named}, but there are only 10 training images of it"):
        ready(num_train=20, psi=psi)


def test_preparing_downloads_and_nothing_else():
    datamodule = NumberedDataModule()
    calls = []
    datamodule.download = lambda: calls.append("download")
    datamodule.prepare_data()
    assert calls == ["download"]
    assert datamodule.train_set is None


def test_loaders_before_setup_say_what_to_call():
    datamodule = NumberedDataModule()
    for loader in (datamodule.train_dataloader, datamodule.val_dataloader, datamodule.plot):
        with pytest.raises(MisconfigurationException, match=r'call prepare_data\(\) and setup\("fit"\)'):
            loader()
    with pytest.raises(MisconfigurationException, match=r'setup\("test"\)'):
        datamodule.test_dataloader()


def test_without_a_seed_the_run_follows_seed_everything(monkeypatch):
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")  # so that the old value comes back
    datamodule = ready(seed=None)
    seed_everything(3, verbose=False)
    assert shown(datamodule) == shown(ready(seed=3))
    seed_everything(4, verbose=False)
    assert shown(datamodule) == shown(ready(seed=4)) != shown(ready(seed=3))
    monkeypatch.delenv("PL_GLOBAL_SEED")
    assert shown(datamodule) == shown(ready(seed=0))


def test_the_processes_of_a_trainer_share_the_images():
    parts = []
    for rank in range(2):
        datamodule = ready()
        datamodule.trainer = SimpleNamespace(world_size=2, global_rank=rank)
        parts.append(shown(datamodule, epoch=1))
    assert [len(part) for part in parts] == [20, 20]
    assert sorted([*parts[0], *parts[1]]) == list(range(40))


@pytest.mark.parametrize(
    ("size", "batch_size", "sizes"),
    [
        (40, 13, [13, 13, 13]),  # a last batch of one is left out
        (40, 12, [12, 12, 12, 4]),
        (40, 40, [40]),
        (40, 39, [39]),
        (40, 100, [40]),
        (3, 1, [1, 1, 1]),  # asked for
        (2, 8, [2]),
    ],
)
def test_a_last_batch_of_one_image_is_left_out(size, batch_size, sizes):
    loader = ready(size=size, batch_size=batch_size).train_dataloader()
    assert [len(images) for images, _ in loader] == sizes
    assert len(loader) == len(sizes)


def test_evaluation_is_in_order_whole_and_without_augmentation():
    datamodule = ready(val_fraction=0.25, batch_size=8, eval_batch_size=3)
    val, test = list(datamodule.val_dataloader()), list(datamodule.test_dataloader())
    assert [len(images) for images, _ in val] == [3, 3, 3, 1]
    assert [number for images, _ in val for number in numbers(images)] == datamodule.val_set.indices.tolist()
    assert [number for images, _ in test for number in numbers(images)] == list(range(6))
    assert all((images == images[:, :, :1, :1]).all() for images, _ in val + test)
    assert [primary.tolist() for _, primary in test] == [[0, 1, 0], [1, 0, 1]]
    predicted = [number for images, _ in datamodule.predict_dataloader() for number in numbers(images)]
    assert predicted == list(range(6))


def test_lightning_validates_where_there_are_images_and_not_without():
    assert fitted(NumberedDataModule(val_fraction=0.25), 2, num_sanity_val_steps=0)[0].num_validated == 20
    assert ready(val_fraction=0.0).val_dataloader() == []
    assert fitted(NumberedDataModule(val_fraction=0.0), 2)[0].num_validated == 0


def test_batches_are_pairs_without_labels_and_triples_with():
    pair = next(iter(ready().train_dataloader()))
    assert [(part.dtype, tuple(part.shape)) for part in pair] == [
        (torch.float32, (8, 1, 4, 4)),
        (torch.int64, (8,)),
    ]
    labelled = ready(psi=2, auxiliary_labels=UniformLabels(), val_fraction=0.25)
    _, primary, auxiliary = next(iter(labelled.train_dataloader()))
    assert torch.equal(auxiliary, torch.tensor([[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]])[primary])
    assert len(next(iter(labelled.val_dataloader()))) == 2
    assert len(next(iter(labelled.test_dataloader()))) == 2


@pytest.mark.parametrize("num_workers", [0, 2])
def test_every_image_keeps_its_own_auxiliary_label(num_workers):
    datamodule = ready(psi=3, auxiliary_labels=IndexLabels(), num_train=20, num_workers=num_workers)
    pairs = [
        (number, label)
        for images, _, auxiliary in datamodule.train_dataloader()
        for number, label in zip(numbers(images), auxiliary.tolist(), strict=True)
    ]
    assert len(pairs) == 20
    assert all(label == number % 6 for number, label in pairs)


def test_wrong_auxiliary_labels_are_refused_at_setup():
    with pytest.raises(ValueError, match="image 0 is 4, it must be a class between 0 and 3"):
        ready(psi=2, auxiliary_labels=WrongLabels())


def test_labels_are_not_made_for_evaluation_alone():
    datamodule = NumberedDataModule(psi=2, auxiliary_labels=WrongLabels())
    datamodule.setup("validate")
    datamodule.setup("test")
    assert len(datamodule.val_set) == 0


def test_plot_draws_named_images():
    datamodule = ready(size=40)
    figure = datamodule.plot()
    assert isinstance(figure, Figure)
    spread = [0, 2, 5, 7, 10, 12, 15, 17, 20, 22, 25, 27, 30, 32, 35, 37]
    assert [axes.get_title() for axes in figure.axes] == [("even", "odd")[number % 2] for number in spread]
    figure = datamodule.plot(next(iter(datamodule.test_dataloader())))
    drawn = [axes.images[0].get_array() for axes in figure.axes]
    assert [int(picture.max() * 255 + 0.5) for picture in drawn] == list(range(6))  # normalisation undone
    with pytest.raises(ValueError, match="the batch is empty"):
        datamodule.plot((torch.zeros(0, 1, 4, 4), torch.zeros(0, dtype=torch.int64)))
