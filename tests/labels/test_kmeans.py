"""K-means labels: per class, repeatable, made once and kept."""

import random

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from numbered import NumberedDataModule, Recorder
from sklearn.cluster import KMeans
from torch import nn

import maxl_lightning.labels.kmeans
from maxl_lightning.datamodules import DigitsDataModule
from maxl_lightning.datasets import DatasetView, Digits
from maxl_lightning.datasets.seeding import derive_seed
from maxl_lightning.labels import AuxiliaryLabels, KMeansLabels, UniformLabels
from maxl_lightning.networks import ConvNet4

PSI = (4, 2)
FEW = tuple(range(100, 160))


@pytest.fixture(scope="module")
def digits():
    return Digits()


@pytest.fixture
def view(digits):
    return DatasetView(digits, FEW)


@pytest.fixture
def kmeans(tmp_path):
    """Makes k-means labels with few settings given."""

    def make(**options):
        return KMeansLabels(**{"steps": 5, "batch_size": 20, "cache_dir": str(tmp_path / "kept"), **options})

    return make


def pixels(view):
    return torch.stack([view[i][0].flatten() for i in range(len(view))])


def reference(latents, primary, psi, seed):
    """Scikit-learn's k-means on the images of each class alone."""
    labels = np.empty(len(primary), dtype=int)
    for c, size in enumerate(psi):
        found = KMeans(n_clusters=size, n_init=10, random_state=derive_seed(seed, c)).fit(latents[primary == c].numpy())
        labels[primary.numpy() == c] = sum(psi[:c]) + found.labels_
    return labels.tolist()


# what is clustered, and how


def test_labels_are_those_of_kmeans_in_each_class_of_an_encoders_features(view, kmeans):
    labels = kmeans(encoder=nn.Flatten(), seed=3)(view, PSI)
    assert labels.tolist() == reference(pixels(view), view.targets, PSI, seed=3)


def test_labels_are_those_of_kmeans_in_each_class_of_the_autoencoders_latent(view, kmeans):
    source = kmeans(seed=3, latent_size=7)
    latents = source.latents(view)
    assert latents.shape == (60, 7)
    assert source(view, PSI).tolist() == reference(latents, view.targets, PSI, seed=3)


def test_images_of_one_class_do_not_change_the_labels_of_another(digits, kmeans):
    source = kmeans(encoder=nn.Flatten(), seed=0)
    odd, even = ([i for i in FEW if digits.targets[i] == c] for c in (1, 0))
    both = source(DatasetView(digits, [*odd, *even]), PSI)
    fewer_even = source(DatasetView(digits, [*odd, *even[:10]]), PSI)
    assert torch.equal(both[: len(odd)], fewer_even[: len(odd)])


def test_clusters_of_a_trained_latent_tell_digits_apart(tmp_path):
    """They agree with the digits far better than chance: a latent that holds nothing would not."""
    from sklearn.metrics import adjusted_rand_score

    data = DigitsDataModule(auxiliary_labels=KMeansLabels(steps=200, seed=0, cache_dir=str(tmp_path)))
    data.setup("fit")
    labels = torch.tensor([int(data.train_dataset()[i][2]) for i in range(200)])
    digits = data.train_set.source.digits[data.train_set.indices]
    for parity in (0, 1):
        mine = data.train_set.targets == parity
        assert adjusted_rand_score(digits[mine], labels[mine]) > 0.4


def test_an_encoder_is_used_in_evaluation_mode_and_left_as_it_is(view, kmeans):
    encoder = nn.Sequential(nn.Dropout(0.9), nn.BatchNorm2d(1), ConvNet4(1, (4, 4, 4, 8))).train()
    encoder[1].running_mean.fill_(0.5)
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    features = kmeans(encoder=encoder).latents(view)
    assert all(part.training for part in encoder.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in encoder.state_dict().items())
    with torch.no_grad():
        expected = encoder.eval()(torch.stack([view[i][0] for i in range(60)]))
    assert torch.allclose(features, expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 48), (3, 224, 224)])
def test_images_of_any_size_are_clustered(shape, kmeans):
    class Noise:
        targets = (0, 1) * 4

        def __len__(self):
            return 8

        def __getitem__(self, index):
            return torch.rand(shape, generator=torch.Generator().manual_seed(index)), self.targets[index]

    labels = kmeans(steps=1, seed=0)(DatasetView(Noise()), (2, 2))
    assert torch.equal(labels // 2, torch.tensor(Noise.targets))


# repeatable


def test_the_same_file_comes_out_again(view, kmeans, tmp_path):
    files = []
    for folder in ("a", "b"):
        source = kmeans(cache_dir=str(tmp_path / folder), seed=1)
        torch.rand(1)
        source(view, PSI)
        files.append(source.path(view, PSI))
    assert files[0].name == files[1].name
    assert files[0].read_bytes() == files[1].read_bytes()


def test_global_random_states_are_left_alone(view, kmeans):
    def states():
        return torch.random.get_rng_state().tolist(), np.random.mtrand._rand.get_state(), random.getstate()

    before = states()
    kmeans()(view, PSI)
    assert str(states()) == str(before)


def test_by_default_labels_follow_the_seed_of_the_run(view, kmeans, monkeypatch):
    monkeypatch.setenv("PL_GLOBAL_SEED", "5")
    assert kmeans().path(view, PSI) == kmeans(seed=5).path(view, PSI)
    monkeypatch.setenv("PL_GLOBAL_SEED", "6")
    assert kmeans().path(view, PSI) != kmeans(seed=5).path(view, PSI)


def test_files_are_kept_with_the_data(view, monkeypatch, tmp_path):
    monkeypatch.setenv("MAXL_DATA_DIR", str(tmp_path))
    assert KMeansLabels().path(view, PSI).parent == tmp_path / "auxiliary_labels"


# kept


def forbid_making(monkeypatch):
    def fail(*arguments):
        raise AssertionError("the labels are made anew")

    monkeypatch.setattr(maxl_lightning.labels.kmeans, "train_autoencoder", fail)
    monkeypatch.setattr(maxl_lightning.labels.kmeans, "encoder_features", fail)


def test_labels_that_are_kept_are_not_made_again(view, kmeans, monkeypatch):
    made = kmeans()(view, PSI)
    forbid_making(monkeypatch)
    assert torch.equal(kmeans(num_workers=0)(view, PSI), made)
    with pytest.raises(AssertionError):
        kmeans(steps=6)(view, PSI)


def test_the_file_can_be_read_without_trusting_it(view, kmeans):
    source = kmeans(seed=1, steps=5)
    labels = source(view, PSI)
    kept = torch.load(source.path(view, PSI), weights_only=True)
    assert torch.equal(kept["labels"], labels)
    assert kept["settings"]["psi"] == [4, 2]
    assert kept["settings"]["steps"] == 5


def test_whatever_makes_a_difference_changes_the_name(digits, view, kmeans):
    class Others(Digits):
        pass

    darker = DatasetView(digits, FEW, lambda image: image / 2)
    relabelled = Digits()
    relabelled.targets = 1 - relabelled.targets
    encoders = [ConvNet4(1, (4, 4, 4, 4)) for _ in range(2)]
    paths = [
        kmeans().path(view, PSI),
        kmeans().path(view, (2, 4)),
        *(kmeans(**{name: 9}).path(view, PSI) for name in ("latent_size", "steps", "batch_size", "learning_rate")),
        *(kmeans(**{name: 9}).path(view, PSI) for name in ("image_size", "num_init", "seed")),
        kmeans().path(DatasetView(digits, FEW[1:]), PSI),
        kmeans().path(DatasetView(digits, FEW[::-1]), PSI),
        kmeans().path(DatasetView(Others(), FEW), PSI),
        kmeans().path(DatasetView(relabelled, FEW), PSI),
        kmeans().path(darker, PSI),
        *(kmeans(encoder=encoder).path(view, PSI) for encoder in (*encoders, nn.Flatten(), nn.Flatten(1, 2))),
    ]
    assert len({path.name for path in paths}) == len(paths)


def test_which_images_there_are_changes_the_name_though_few_are_looked_at(digits, kmeans):
    """One image gives way to another of its class; the sample takes in the pixels of neither."""
    indices = list(range(300))
    other = next(i for i in range(300, 400) if digits.targets[i] == digits.targets[1])
    changed = [*indices[:1], other, *indices[2:]]
    assert kmeans().path(DatasetView(digits, indices), PSI) != kmeans().path(DatasetView(digits, changed), PSI)


def test_what_makes_no_difference_does_not(view, kmeans, tmp_path):
    """The settings of the autoencoder, where there is none; the function's address in an encoder's description."""

    class Described(nn.Flatten):
        def extra_repr(self):
            return repr(lambda: None)

    name = kmeans().path(view, PSI).name
    assert kmeans(num_workers=3, cache_dir=str(tmp_path / "elsewhere")).path(view, PSI).name == name
    described = [kmeans(encoder=Described(), steps=steps).path(view, PSI) for steps in (1, 2)]
    assert described[0] == described[1]


@pytest.mark.parametrize("damage", ["truncated", "empty", "other", "short", "outside"])
def test_a_broken_file_is_made_anew(view, kmeans, damage):
    source = kmeans()
    labels = source(view, PSI)
    path = source.path(view, PSI)
    whole = path.read_bytes()
    match damage:
        case "truncated":
            path.write_bytes(whole[: len(whole) // 2])
        case "empty":
            path.write_bytes(b"")
        case "other":
            torch.save([1, 2], path)
        case "short":
            torch.save({"labels": labels[1:]}, path)
        case "outside":
            torch.save({"labels": (labels + 1) % 6}, path)
    with pytest.warns(UserWarning, match=f"{path.name} is broken and its labels are made anew"):
        assert torch.equal(source(view, PSI), labels)
    assert path.read_bytes() == whole


def test_an_interruption_leaves_no_half_file(view, kmeans, monkeypatch):
    def interrupted(content, stream):
        stream.write(b"half")
        raise KeyboardInterrupt

    source = kmeans()
    monkeypatch.setattr(torch, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        source(view, PSI)
    assert list(source.cache_dir.iterdir()) == []


# bad input


def test_more_clusters_than_images_are_refused_before_anything_is_trained(digits, kmeans, monkeypatch):
    forbid_making(monkeypatch)
    few_odd = [i for i in FEW if digits.targets[i] == 0] + [i for i in FEW if digits.targets[i] == 1][:1]
    with pytest.raises(ValueError, match="asks for 2 clusters of primary class 1, which has 1 training images"):
        kmeans()(DatasetView(digits, few_odd), PSI)
    with pytest.raises(ValueError, match="primary class 1, which has 0 training images"):
        kmeans()(DatasetView(digits, few_odd[:-1]), PSI)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latent_size": 0}, "latent_size is 0"),
        ({"steps": 0}, "steps is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"image_size": 0}, "image_size is 0"),
        ({"num_init": 0}, "num_init is 0"),
        ({"num_workers": -1}, "num_workers is -1"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_settings_out_of_range_are_refused(kmeans, options, message):
    with pytest.raises(ValueError, match=message):
        kmeans(**options)


def test_an_encoder_that_gives_no_features_is_refused(view, kmeans):
    with pytest.raises(ValueError, match=r"Conv2d returned features of shape .* pool and flatten"):
        kmeans(encoder=nn.Conv2d(1, 2, 3))(view, PSI)


@pytest.mark.parametrize(
    ("options", "remedy"), [({"learning_rate": 1e30}, "lower learning_rate"), ({"encoder": None}, "")]
)
def test_features_that_are_not_finite_are_refused(view, kmeans, options, remedy):
    class Broken(nn.Flatten):
        def forward(self, x):
            return super().forward(x) / 0

    options = {**options, **({"encoder": Broken()} if "encoder" in options else {})}
    with pytest.raises(ValueError, match=f"not all finite: {remedy or 'use another encoder'}"):
        kmeans(**options)(view, PSI)


@pytest.mark.parametrize(("transform", "kind"), [(lambda x: (255 * x).byte(), "torch.uint8"), (str, "of type str")])
def test_images_that_are_no_numbers_are_refused(digits, kmeans, transform, kind):
    with pytest.raises(ValueError, match=f"needs images as tensors of floating type, but they are .*{kind}"):
        kmeans()(DatasetView(digits, FEW, transform), PSI)


def test_a_folder_that_cannot_be_written_to_is_named_before_anything_is_trained(view, kmeans, monkeypatch):
    forbid_making(monkeypatch)
    with pytest.raises(ValueError, match=r"cannot be kept in /dev/null/kept \(Not a directory\): set cache_dir"):
        kmeans(cache_dir="/dev/null/kept")(view, PSI)


# once for all processes


class Counted(UniformLabels):
    """Counts what it is asked."""

    def __init__(self):
        self.asked = []

    def prepare(self, dataset, psi):
        self.asked.append(("prepare", len(dataset), tuple(psi)))

    def __call__(self, dataset, psi):
        self.asked.append(("label", len(dataset), tuple(psi)))
        return super().__call__(dataset, psi)


class OnlyImages(Recorder):
    """A recorder that leaves the labels aside, and can be tested."""

    def training_step(self, batch, batch_idx):
        return super().training_step(batch[:2], batch_idx)

    def test_step(self, batch, batch_idx):
        pass


def test_a_data_module_lets_labels_be_prepared_before_it_asks_for_them_and_only_to_train():
    source = Counted()
    data = NumberedDataModule(psi=2, auxiliary_labels=source)
    flags = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    Trainer(**flags).test(OnlyImages(), data)
    assert source.asked == []
    Trainer(max_epochs=1, enable_model_summary=False, **flags).fit(OnlyImages(), datamodule=data)
    assert source.asked == [("prepare", 40, (2, 2)), ("label", 40, (2, 2))]


def test_the_images_are_read_once_though_labels_are_prepared_first(kmeans, monkeypatch):
    reads = []
    data = DigitsDataModule(num_train=20, auxiliary_labels=kmeans(steps=1), psi=2)
    read = data.train_source
    monkeypatch.setattr(data, "train_source", lambda: reads.append(1) or read())
    data.prepare_data()
    (kept,) = data.auxiliary_labels.cache_dir.iterdir()
    forbid_making(monkeypatch)
    data.setup("fit")
    assert reads == [1]
    assert torch.equal(data.train_dataset().labels, torch.load(kept, weights_only=True)["labels"])


def test_a_source_of_ones_own_need_not_prepare_anything(view):
    class Ones(AuxiliaryLabels):
        def __call__(self, dataset, psi):
            return torch.zeros(len(dataset), dtype=torch.int64)

    data = DigitsDataModule(auxiliary_labels=Ones())
    data.prepare_data()
    data.setup("fit")
    assert data.train_dataset()[0][2] == 0
