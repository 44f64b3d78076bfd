"""The label generator: the mask softmax holds to the digit, and wrong labels are refused."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call

from maxl_lightning.functional import hierarchy_mask
from maxl_lightning.networks import VGG16, ConvNet4, LabelGenerator, ResNet32, Trunk

PSI = [2, 1, 4, 1]


@pytest.fixture
def generator() -> LabelGenerator:
    torch.manual_seed(0)
    return LabelGenerator(4, PSI, ConvNet4(1, (4, 4, 8, 8)))


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(8, 1, 8, 8), torch.tensor([0, 1, 2, 3, 0, 1, 2, 3])


def test_parameters_of_the_papers_generator() -> None:
    generator = LabelGenerator(20, 5, VGG16())
    assert sum(parameter.numel() for parameter in generator.parameters()) == 15_037_092


def test_rows_sum_to_one_and_are_zero_outside_their_block(
    generator: LabelGenerator, batch: tuple[Tensor, Tensor]
) -> None:
    x, y = batch
    labels = generator(x, y)
    block = hierarchy_mask(PSI)[y]
    assert labels.shape == (8, 8)
    torch.testing.assert_close(labels.sum(dim=1), torch.ones(8))
    assert (labels[~block] == 0).all()
    assert (labels[block] > 0).all()
    assert (labels[y == 1].max(dim=1).values == 1).all()  # an unsplit class has one label


def test_inside_the_block_it_is_the_softmax_of_the_heads_logits(
    generator: LabelGenerator, batch: tuple[Tensor, Tensor]
) -> None:
    x, y = batch
    generator.eval()
    logits = generator.head(generator.trunk(x))
    labels = generator(x, y)
    torch.testing.assert_close(labels[2, 3:7], logits[2, 3:7].softmax(dim=0))
    torch.testing.assert_close(labels[0, :2], logits[0, :2].softmax(dim=0))


def test_attributes(generator: LabelGenerator) -> None:
    assert generator.num_classes == 4
    assert generator.psi == (2, 1, 4, 1)
    assert "mask" not in generator.state_dict()
    assert "mask" in dict(generator.named_buffers())


@pytest.mark.parametrize(("label", "named"), [(4, "4"), (-1, "-1"), (99, "99")])
def test_labels_out_of_range_are_named(generator: LabelGenerator, label: int, named: str) -> None:
    with pytest.raises(ValueError, match=rf"primary label {named} is outside 0 … 3.*num_classes \(now 4\)"):
        generator(torch.zeros(2, 1, 8, 8), torch.tensor([0, label]))


@pytest.mark.parametrize(
    "labels",
    [torch.zeros(2), torch.zeros(2, dtype=torch.int32), torch.zeros(3).long(), torch.zeros(2, 1).long()],
    ids=["float", "int32", "three labels for two images", "column"],
)
def test_labels_of_another_type_or_shape_are_refused(generator: LabelGenerator, labels: Tensor) -> None:
    with pytest.raises(ValueError, match=r"int64 and shape \(2,\), one per image"):
        generator(torch.zeros(2, 1, 8, 8), labels)


def test_an_empty_batch_passes_through(generator: LabelGenerator) -> None:
    assert generator.eval()(torch.zeros(0, 1, 8, 8), torch.zeros(0).long()).shape == (0, 8)


@pytest.mark.parametrize(("trunk", "side"), [(partial(ConvNet4, channels=(4, 4, 8, 8)), 8), (ResNet32, 9), (VGG16, 32)])
def test_forward_mode_agrees_with_reverse_mode(trunk: Callable[[int], Trunk], side: int) -> None:
    """⟨c, J u⟩ = ⟨Jᵀ c, u⟩ in float64, through BatchNorm in train mode, with the parameters handed in."""
    torch.manual_seed(0)
    generator = LabelGenerator(4, PSI, trunk(1)).double()
    x, y = torch.randn(4, 1, side, side, dtype=torch.float64), torch.tensor([0, 1, 2, 2])
    parameters = {name: parameter.detach() for name, parameter in generator.named_parameters()}
    buffers = {name: buffer.clone() for name, buffer in generator.named_buffers()}

    def labels(values: dict[str, Tensor]) -> Tensor:
        result: Tensor = functional_call(generator, (values, buffers), (x, y))
        return result

    direction = {name: torch.randn_like(value) for name, value in parameters.items()}
    # not torch.func.jvp, which refuses the running statistics' in-place update
    with forward_ad.dual_level():
        duals = {name: forward_ad.make_dual(value, direction[name]) for name, value in parameters.items()}
        tangent = forward_ad.unpack_dual(labels(duals)).tangent
    cotangent = torch.randn_like(tangent)
    leaves = {name: value.requires_grad_() for name, value in parameters.items()}
    pulled = torch.autograd.grad((cotangent * labels(leaves)).sum(), list(leaves.values()))
    backwards = sum((g * direction[name]).sum() for name, g in zip(leaves, pulled, strict=True))
    torch.testing.assert_close((cotangent * tangent).sum(), backwards)
    torch.testing.assert_close(tangent.sum(dim=1), torch.zeros(4, dtype=torch.float64), rtol=0, atol=1e-9)


def test_it_compiles_in_one_graph(generator: LabelGenerator, batch: tuple[Tensor, Tensor]) -> None:
    generator.eval()
    compiled = torch.compile(generator, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(*batch), generator(*batch))


def test_half_precision_autocast(generator: LabelGenerator, batch: tuple[Tensor, Tensor]) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        labels = generator(*batch)
    assert (labels[~hierarchy_mask(PSI)[batch[1]]] == 0).all()
    torch.testing.assert_close(labels.float().sum(dim=1), torch.ones(8), rtol=0, atol=1e-2)


def test_any_module_serves_as_trunk() -> None:
    generator = LabelGenerator(2, [1, 3], nn.Flatten(), input_shape=(1, 2, 2), hidden_features=6)
    assert generator.head[0].weight.shape == (6, 4)
    assert generator(torch.randn(3, 1, 2, 2), torch.tensor([0, 1, 1])).shape == (3, 4)
