"""The map shows the trunk's features, and tells classes and labels apart."""

import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import nn
from watching import PSI, FixedGenerator, Shades, maxl, watch

from maxl_lightning import Classifier, ConvNet4, LabelGenerator, MAXLModule, SingleTaskModule
from maxl_lightning.callbacks import FeatureMap
from maxl_lightning.callbacks.feature_map import embed

BY_CLASS = FixedGenerator(lambda b: (0 * b + 1) * torch.tensor([0.0, 0, 9, 0, 0, 9]))


def test_clusters_stay_apart_and_the_map_is_always_the_same():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(60, 5, generator=generator)
    features[30:] += 50
    points = embed(features, perplexity=10)
    assert (points == embed(features, perplexity=10)).all()
    means = points[:30].mean(0), points[30:].mean(0)
    spread = max(points[:30].std(0).max(), points[30:].std(0).max())
    assert ((means[0] - means[1]) ** 2).sum() ** 0.5 > 2 * spread


@pytest.mark.parametrize("features", [torch.zeros(20, 4), torch.ones(6, 1), torch.arange(5.0)[:, None], torch.eye(5)])
def test_what_would_crash_the_process_does_not(features):
    """Of equal features scikit-learn 1.9 makes NaN, and its tree of them ends the process with a signal."""
    assert torch.from_numpy(embed(features, perplexity=30)).isfinite().all()


def test_diverged_features_are_warned_of():
    with pytest.warns(UserWarning, match="not finite"):
        assert not embed(torch.full((9, 2), torch.nan), perplexity=3).any()


def test_it_maps_the_trunks_features_in_evaluation_mode():
    callback = FeatureMap(num_images=12)
    module = maxl(3, PSI, generator=BY_CLASS)
    watch([callback], module, Shades(12))
    module.eval()
    x, y = next(iter(callback.sample))
    assert torch.allclose(callback.observed[:10], module.network.trunk(x)[:10], atol=1e-6)
    assert torch.equal(callback.primary, y)
    assert torch.equal(callback.positions, torch.tensor([2, 0, 1])[y])


def test_both_panels_show_every_image_in_its_colour():
    callback = FeatureMap(num_images=30)
    watch([callback], maxl(3, PSI, generator=BY_CLASS), Shades())
    primary, auxiliary = callback.draw(1).axes
    assert [len(points.get_offsets()) for points in primary.collections] == [10, 10, 10]
    assert sum(len(points.get_offsets()) for points in auxiliary.collections) == 30
    assert [text.get_text() for text in primary.get_legend().get_texts()] == ["0", "1", "2"]
    assert [text.get_text() for text in auxiliary.get_legend().get_texts()] == ["1", "2", "3"]


def test_single_task_has_the_first_panel():
    module = SingleTaskModule(Classifier(3, ConvNet4(1, (4, 4, 4, 4))))
    callback = FeatureMap(num_images=12)
    watch([callback], module, Shades(12))
    assert callback.positions is None
    assert len(callback.draw(1).axes) == 1


class Foreign(nn.Module):
    """A network that does not tell its features; those of its part are a map."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 5, 3), nn.ReLU())
        self.a, self.b = nn.Linear(180, 3), nn.Linear(180, 6)

    def forward(self, x):
        flat = self.body(x).flatten(1)
        return self.a(flat), self.b(flat)


def foreign():
    torch.manual_seed(0)
    return MAXLModule(Foreign(), LabelGenerator(3, PSI, ConvNet4(1, (4, 4, 4, 4))))


def test_features_of_a_foreign_network_are_named():
    callback = FeatureMap(num_images=12, features="body.1")
    module = foreign()
    watch([callback], module, Shades(12))
    x, _ = next(iter(callback.sample))
    assert torch.allclose(callback.observed, module.network.body(x).mean(dim=(2, 3)), atol=1e-6)
    assert not module.network.body[1]._forward_hooks


def test_a_foreign_network_is_refused_with_its_parts_before_the_first_epoch():
    with pytest.raises(MisconfigurationException, match=r"no method features\(x\): set features .* body, a, b"):
        watch([FeatureMap()], foreign(), Shades(12))
    with pytest.raises(MisconfigurationException, match="Foreign has no part 'trunk'"):
        watch([FeatureMap(features="trunk")], foreign(), Shades(12))


def test_too_few_images_are_refused():
    with pytest.raises(MisconfigurationException, match="at least 5 images, and has 4"):
        watch([FeatureMap(num_images=4)], maxl(3, PSI), Shades(12))
    with pytest.raises(ValueError, match="perplexity is 0"):
        FeatureMap(perplexity=0)
