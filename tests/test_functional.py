"""The equations against independent formulas, at the edges of float32, and their derivatives."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torch.nn import functional as F

from maxl_lightning.functional import (
    auxiliary_classes,
    check_gamma,
    focal_loss,
    hierarchy_mask,
    marginal_negative_entropy,
    masked_softmax,
    negative_entropy,
    uniform_labels,
)

GAMMAS = [0.0, 1.0, 1.5, 2.0, 5.0]
PSI = [3, 1, 2]
PRIMARY = torch.tensor([0, 1, 2, 0, 2])


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def naive_masked_softmax(logits: Tensor, mask: Tensor) -> Tensor:
    """Row by row and entry by entry, in Python floats."""
    rows = []
    for row, allowed in zip(logits.tolist(), mask.tolist(), strict=True):
        weights = [math.exp(logit) if ok else 0.0 for logit, ok in zip(row, allowed, strict=True)]
        rows.append([weight / sum(weights) for weight in weights])
    return torch.tensor(rows, dtype=torch.float64)


def naive_focal(logits: Tensor, soft: Tensor, gamma: float) -> Tensor:
    """Equation 1 as printed, in float64."""
    p = logits.double().exp() / logits.double().exp().sum(dim=1, keepdim=True)
    return -(soft.double() * (1 - p) ** gamma * p.log()).sum(dim=1)


def extreme_logits() -> Tensor:
    rows = [[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0], [1e4, 1e4, -1e4], [0.0, 0.0, 0.0], [30.0, -30.0, 0.0], [-1e4] * 3]
    return torch.tensor(rows)


def targets() -> list[Tensor]:
    return [
        torch.tensor([0, 0, 2, 1, 0, 2]),
        torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.2, 0.3, 0.5]] + [[0.0, 1.0, 0.0]] * 2),
    ]


# --- hierarchy


def test_hierarchy_mask_of_uneven_blocks() -> None:
    expected = [[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 1, 1]]
    assert torch.equal(hierarchy_mask(PSI), torch.tensor(expected, dtype=torch.bool))


def test_hierarchy_mask_of_ones_is_the_identity() -> None:
    assert torch.equal(hierarchy_mask([1] * 4), torch.eye(4, dtype=torch.bool))


def test_auxiliary_classes() -> None:
    assert auxiliary_classes(2, 3) == (2, 2, 2)
    assert auxiliary_classes((1, 2, 1), 3) == (1, 2, 1)


@pytest.mark.parametrize(
    ("psi", "message"),
    [
        ([2, 3], "psi has 2 entries but there are 3 primary classes"),
        ([2, 3, 1, 1], "psi has 4 entries"),
        ([2, 0, 1], r"psi\[1\] is 0"),
        ([2, 1, -3], r"psi\[2\] is -3"),
        (0, r"psi\[0\] is 0"),
        (True, r"psi\[0\] is True"),
        ([2, True, 1], r"psi\[1\] is True"),
        (2.0, r"psi\[0\] is 2.0"),
        ([2, 1, 1.5], r"psi\[2\] is 1.5"),
    ],
)
def test_auxiliary_classes_refuses(psi: int | list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        auxiliary_classes(psi, 3)


@pytest.mark.parametrize("num_classes", [0, -1, True, 3.0])
def test_the_number_of_classes_is_checked(num_classes: int) -> None:
    with pytest.raises(ValueError, match="num_classes must be a positive whole number"):
        auxiliary_classes(2, num_classes)


@pytest.mark.parametrize("psi", [[], [2, 0], [1.5]])
def test_hierarchy_mask_refuses(psi: list[int]) -> None:
    with pytest.raises(ValueError, match=r"psi|num_classes"):
        hierarchy_mask(psi)


# --- masked softmax


def test_masked_softmax_against_the_definition() -> None:
    mask = hierarchy_mask(PSI)[PRIMARY]
    logits = torch.randn(5, 6, dtype=torch.float64) * 5
    labels = masked_softmax(logits, mask)
    torch.testing.assert_close(labels, naive_masked_softmax(logits, mask))
    assert (labels[~mask] == 0).all()


def test_masked_softmax_ignores_logits_outside_the_block() -> None:
    mask = hierarchy_mask(PSI)[PRIMARY]
    logits = torch.randn(5, 6)
    moved = logits + torch.randn(5, 6).mul(1e4).masked_fill(mask, 0)
    assert torch.equal(masked_softmax(logits, mask), masked_softmax(moved, mask))


@pytest.mark.parametrize("scale", [1.0, 89.0, 1e4])
def test_masked_softmax_is_finite_with_its_gradient(scale: float) -> None:
    mask = hierarchy_mask(PSI)[PRIMARY]
    logits = (torch.tensor([1.0, -1.0, 0.5, -1.0, 1.0, -1.0]) * scale).repeat(5, 1).requires_grad_()
    labels = masked_softmax(logits, mask)
    (gradient,) = torch.autograd.grad((labels * torch.randn(5, 6)).sum(), logits)
    assert labels.isfinite().all()
    assert (labels[~mask] == 0).all()
    torch.testing.assert_close(labels.sum(dim=1), torch.ones(5))
    assert gradient.isfinite().all()
    assert (gradient[~mask] == 0).all()


def test_masked_softmax_in_bfloat16() -> None:
    mask = hierarchy_mask(PSI)[PRIMARY]
    labels = masked_softmax(torch.randn(5, 6).bfloat16(), mask)
    assert (labels[~mask] == 0).all()
    torch.testing.assert_close(labels.float().sum(dim=1), torch.ones(5), rtol=0, atol=1e-2)


@pytest.mark.parametrize("mask", [torch.ones(2, 3), torch.ones(3, dtype=torch.bool), torch.ones(2, 4).bool()])
def test_masked_softmax_refuses_another_mask(mask: Tensor) -> None:
    with pytest.raises(ValueError, match=r"mask must be boolean and of the logits' shape \(2, 3\)"):
        masked_softmax(torch.zeros(2, 3), mask)


def test_uniform_labels_are_the_softmax_of_equal_logits() -> None:
    mask = hierarchy_mask(PSI)
    expected = masked_softmax(torch.zeros(5, 6), mask[PRIMARY])
    torch.testing.assert_close(uniform_labels(PRIMARY, mask), expected)


# --- focal loss


@pytest.mark.parametrize("gamma", GAMMAS)
def test_focal_loss_against_the_definition(gamma: float) -> None:
    logits = torch.randn(6, 3, dtype=torch.float64) * 4
    soft = torch.rand(6, 3, dtype=torch.float64).softmax(dim=1)
    index = torch.tensor([0, 1, 2, 0, 1, 2])
    torch.testing.assert_close(focal_loss(logits, soft, gamma), naive_focal(logits, soft, gamma))
    torch.testing.assert_close(focal_loss(logits, index, gamma), naive_focal(logits, F.one_hot(index, 3), gamma))
    torch.testing.assert_close(
        focal_loss(logits.float(), index, gamma).double(),
        naive_focal(logits.float(), F.one_hot(index, 3), gamma),
        rtol=1e-4,
        atol=1e-6,
    )


def test_gamma_defaults_to_the_papers_two() -> None:
    logits, soft = torch.randn(6, 3), torch.rand(6, 3)
    assert torch.equal(focal_loss(logits, soft), focal_loss(logits, soft, gamma=2.0))


@pytest.mark.parametrize("target", targets(), ids=["index", "soft"])
def test_gamma_zero_is_cross_entropy(target: Tensor) -> None:
    for logits in (torch.randn(6, 3), extreme_logits()):
        torch.testing.assert_close(focal_loss(logits, target, 0.0), F.cross_entropy(logits, target, reduction="none"))


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("target", targets(), ids=["index", "soft"])
def test_focal_loss_is_finite_with_first_and_second_derivatives(target: Tensor, gamma: float) -> None:
    """The meta-gradient differentiates twice, once in forward mode: 0 ** (γ − 2) must not turn up there."""
    logits = extreme_logits().requires_grad_()
    loss = focal_loss(logits, target, gamma)
    (gradient,) = torch.autograd.grad(loss.sum(), logits, create_graph=True)
    (second,) = torch.autograd.grad((gradient * torch.randn(6, 3)).sum(), logits)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(logits, torch.randn(6, 3))
        (inner,) = torch.autograd.grad(focal_loss(dual, target, gamma).sum(), dual)
        tangent = forward_ad.unpack_dual(inner).tangent
    for value in (loss, gradient, second, tangent):
        assert value.isfinite().all()


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("gap", [50.0, 200.0, 2e4])
def test_confident_mistakes_keep_their_gradient(gamma: float, gap: float) -> None:
    """The gradient on the true class's logit tends to −1 there; log(p + 1e-20) would lose it."""
    logits = torch.tensor([[-gap / 2, gap / 2]], requires_grad=True)
    for target in (torch.tensor([0]), torch.tensor([[1.0, 0.0]])):
        (gradient,) = torch.autograd.grad(focal_loss(logits, target, gamma).sum(), logits)
        torch.testing.assert_close(gradient, torch.tensor([[-1.0, 1.0]]))


def test_no_cancellation_for_confident_successes() -> None:
    """1 − p = 1e-5 in float32 is right to six digits: it is never formed as a difference."""
    logits = torch.tensor([[0.0, math.log(1e-5)]])
    loss = focal_loss(logits, torch.tensor([0])).double()
    torch.testing.assert_close(loss, naive_focal(logits, torch.tensor([[1, 0]]), 2.0), rtol=1e-2, atol=0)


@pytest.mark.parametrize("gamma", [0.5, 0.999, 1e-9, -1.0, math.nan])
def test_gamma_with_an_infinite_gradient_is_refused(gamma: float) -> None:
    with pytest.raises(ValueError, match=r"focal gamma is .*use 0 \(cross-entropy\) or a value of at least 1"):
        check_gamma(gamma)
    with pytest.raises(ValueError, match="focal gamma"):
        focal_loss(torch.zeros(1, 2), torch.tensor([0]), gamma)


@pytest.mark.parametrize(
    "target",
    [
        torch.zeros(6),
        torch.zeros(6, dtype=torch.int32),
        torch.zeros(5).long(),
        torch.zeros(6, 1).long(),
        torch.zeros(6, 3).long(),
        torch.zeros(6, 4),
        torch.zeros(6, 3).bool(),
    ],
    ids=["float index", "int32", "too few", "column", "integer soft", "too wide", "bool"],
)
def test_focal_loss_refuses_other_targets(target: Tensor) -> None:
    with pytest.raises(ValueError, match=r"shape \(6,\).*shape \(6, 3\); got"):
        focal_loss(torch.zeros(6, 3), target)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_focal_loss_of_half_precision_logits_is_float32(dtype: torch.dtype) -> None:
    logits = torch.randn(6, 3).to(dtype)
    for target in targets():
        loss = focal_loss(logits, target)
        assert loss.dtype == torch.float32
        assert torch.equal(loss, focal_loss(logits.float(), target))
    assert focal_loss(logits, targets()[1].to(dtype)).dtype == torch.float32


# --- entropy


def test_marginal_negative_entropy_against_the_definition() -> None:
    labels = torch.rand(7, 4, dtype=torch.float64).softmax(dim=1)
    mean = [sum(column) / 7 for column in labels.t().tolist()]
    expected = sum(m * math.log(m) for m in mean)
    assert float(marginal_negative_entropy(labels)) == pytest.approx(expected, rel=1e-12)


def test_marginal_negative_entropy_is_bounded() -> None:
    torch.testing.assert_close(marginal_negative_entropy(torch.full((3, 8), 1 / 8)), torch.tensor(-math.log(8)))
    assert marginal_negative_entropy(torch.eye(4)[:1].repeat(3, 1)) == 0


def test_absent_classes_are_as_good_as_removed() -> None:
    present = torch.rand(7, 4, dtype=torch.float64).softmax(dim=1).requires_grad_()
    padded = torch.zeros(7, 6, dtype=torch.float64)
    padded[:, [0, 2, 3, 5]] = present.detach()
    padded.requires_grad_()
    value, expected = marginal_negative_entropy(padded), marginal_negative_entropy(present)
    torch.testing.assert_close(value, expected)
    (gradient,) = torch.autograd.grad(value, padded)
    (reference,) = torch.autograd.grad(expected, present)
    torch.testing.assert_close(gradient[:, [0, 2, 3, 5]], reference)
    assert (gradient[:, [1, 4]] == 0).all()


def test_absent_classes_in_the_logits_gradient() -> None:
    """A batch without primary class 1: its block is absent, and everything stays finite, twice over."""
    logits = torch.randn(4, 6, requires_grad=True)
    mask = hierarchy_mask(PSI)[torch.tensor([0, 2, 2, 0])]
    value = marginal_negative_entropy(masked_softmax(logits, mask))
    (gradient,) = torch.autograd.grad(value, logits, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), logits)
    assert gradient.isfinite().all()
    assert second.isfinite().all()
    assert (gradient[~mask] == 0).all()
    assert gradient.abs().sum() > 0


def test_negative_entropy_of_rows() -> None:
    rows = torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    torch.testing.assert_close(negative_entropy(rows), torch.tensor([-math.log(2), 0.0]))


# --- derivatives in float64, forward mode included


def smooth_functions() -> dict[str, Callable[[Tensor], Tensor]]:
    mask = hierarchy_mask(PSI)[PRIMARY]
    index = torch.tensor([0, 5, 2, 3, 1])
    soft = torch.rand(5, 6, dtype=torch.float64).softmax(dim=1)
    functions: dict[str, Callable[[Tensor], Tensor]] = {
        "masked_softmax": lambda logits: masked_softmax(logits, mask),
        "marginal_negative_entropy": lambda logits: marginal_negative_entropy(masked_softmax(logits, mask)),
    }
    for gamma in GAMMAS:
        functions[f"focal_index_{gamma}"] = lambda logits, gamma=gamma: focal_loss(logits, index, gamma)
        functions[f"focal_soft_{gamma}"] = lambda logits, gamma=gamma: focal_loss(logits, soft, gamma)
    return functions


@pytest.mark.parametrize("name", list(smooth_functions()))
def test_derivatives_in_both_modes(name: str) -> None:
    function = smooth_functions()[name]
    logits = torch.randn(5, 6, dtype=torch.float64, requires_grad=True)
    assert gradcheck(function, (logits,), check_forward_ad=True)
    assert gradgradcheck(function, (logits,), check_fwd_over_rev=True)


def test_derivative_of_the_focal_loss_with_respect_to_the_label() -> None:
    """Label generation is trained through the target."""
    logits = torch.randn(5, 6, dtype=torch.float64, requires_grad=True)
    soft = torch.rand(5, 6, dtype=torch.float64, requires_grad=True)
    assert gradcheck(focal_loss, (logits, soft), check_forward_ad=True)
    assert gradgradcheck(focal_loss, (logits, soft), check_fwd_over_rev=True)
