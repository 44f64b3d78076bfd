import pytest

from maxl_lightning.datasets.cifar100_hierarchy import block_order, class_names, coarser_classes, psi_between

PAIRS = [(3, 10), (3, 20), (3, 100), (10, 20), (10, 100), (20, 100)]


@pytest.mark.parametrize(
    ("primary", "auxiliary", "psi"),
    [
        (3, 10, (5, 1, 4)),
        (3, 20, (10, 3, 7)),
        (3, 100, (50, 15, 35)),
        (10, 20, (3, 2, 2, 2, 1, 3, 3, 1, 1, 2)),
        (10, 100, (15, 10, 10, 10, 5, 15, 15, 5, 5, 10)),
        (20, 100, (5,) * 20),
    ],
)
def test_psi_is_the_papers(primary, auxiliary, psi):
    assert psi_between(primary, auxiliary) == psi


def test_known_classes_lie_where_they_should():
    names = {level: class_names(level) for level in (3, 10, 20, 100)}
    assert {level: len(set(of_level)) for level, of_level in names.items()} == {3: 3, 10: 10, 20: 20, 100: 100}
    apple, rose = names[100].index("apple"), names[100].index("rose")
    assert names[20][coarser_classes(20, 100)[apple]] == "fruit_and_vegetables"
    assert names[20][coarser_classes(20, 100)[rose]] == "flowers"
    assert names[10][coarser_classes(10, 100)[rose]] == "vegetations"
    assert names[3][coarser_classes(3, 100)[rose]] == "vegetations"


@pytest.mark.parametrize(("primary", "auxiliary"), PAIRS)
def test_blocks_are_contiguous_and_complete(primary, auxiliary):
    owner, order = coarser_classes(primary, auxiliary), block_order(primary, auxiliary)
    assert sorted(order) == list(range(auxiliary))
    laid_out = [owner[order.index(place)] for place in range(auxiliary)]
    assert laid_out == [c for c, size in enumerate(psi_between(primary, auxiliary)) for _ in range(size)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: psi_between(20, 20), "more classes than the primary level's 20"),
        (lambda: psi_between(20, 10), "10 classes are coarser than 20"),
        (lambda: psi_between(5, 100), "primary is 5: the levels of CIFAR-100 are 3, 10, 20 and 100"),
        (lambda: class_names(7), "num_classes is 7"),
    ],
)
def test_levels_that_do_not_exist_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
