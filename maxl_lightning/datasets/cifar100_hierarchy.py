"""The paper's four levels of CIFAR-100: 3, 10, 20 and 100 classes.

Each level coarsens the next. The 20 and 100 classes are the data set's own; the maps to 10 and 3 classes are
those of the script that the paper's authors released. The names of the 10 and 3 classes describe what the
maps put together.
"""

from collections import Counter

__all__ = ["LEVELS", "block_order", "check_level", "class_names", "coarser_classes", "psi_between"]

LEVELS = (3, 10, 20, 100)

# fmt: off
_20_OF_100 = (
    4, 1, 14, 8, 0, 6, 7, 7, 18, 3, 3, 14, 9, 18, 7, 11, 3, 9, 7, 11, 6, 11, 5, 10, 7, 6, 13, 15, 3, 15, 0,
    11, 1, 10, 12, 14, 16, 9, 11, 5, 5, 19, 8, 8, 15, 13, 14, 17, 18, 10, 16, 4, 17, 4, 2, 0, 17, 4, 18, 17,
    10, 3, 2, 12, 12, 16, 12, 1, 9, 19, 2, 10, 0, 1, 16, 12, 9, 13, 15, 13, 16, 19, 2, 4, 6, 19, 5, 5, 8, 19,
    18, 1, 2, 15, 6, 0, 17, 8, 14, 13,
)
# fmt: on
_10_OF_20 = (1, 2, 5, 6, 5, 6, 6, 3, 0, 7, 8, 0, 1, 3, 4, 0, 2, 5, 9, 9)
_3_OF_10 = (0, 0, 0, 0, 0, 1, 2, 2, 2, 2)

_COARSER = {100: _20_OF_100, 20: _10_OF_20, 10: _3_OF_10}

_NAMES_3 = ("animals", "vegetations", "objects and scenes")
_NAMES_10 = (
    "large animals",
    "medium animals",
    "small animals",
    "invertebrates",
    "people",
    "vegetations",
    "household objects",
    "constructions",
    "natural scenes",
    "vehicles",
)
_NAMES_20 = """
    aquatic_mammals fish flowers food_containers fruit_and_vegetables household_electrical_devices
    household_furniture insects large_carnivores large_man-made_outdoor_things
    large_natural_outdoor_scenes large_omnivores_and_herbivores medium_mammals non-insect_invertebrates
    people reptiles small_mammals trees vehicles_1 vehicles_2
"""
_NAMES_100 = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel
    can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur
    dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion
    lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter
    palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road
    rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower
    sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
    willow_tree wolf woman worm
"""

_NAMES = {3: _NAMES_3, 10: _NAMES_10, 20: tuple(_NAMES_20.split()), 100: tuple(_NAMES_100.split())}


def class_names(level: int) -> tuple[str, ...]:
    """Return the names of a level's classes, in the order of their numbers.

    Args:
        level: 3, 10, 20 or 100.

    Raises:
        ValueError: if there is no such level.

    >>> class_names(3)
    ('animals', 'vegetations', 'objects and scenes')
    """
    check_level(level, "num_classes")
    return _NAMES[level]


def coarser_classes(primary: int, auxiliary: int) -> tuple[int, ...]:
    """Return the primary class of every auxiliary class.

    Args:
        primary: number of classes of the coarser level.
        auxiliary: number of classes of the finer level; the same level gives the identity.

    Raises:
        ValueError: if there is no such level, or the second is the coarser one.

    >>> coarser_classes(3, 10)
    (0, 0, 0, 0, 0, 1, 2, 2, 2, 2)
    """
    check_level(primary, "primary")
    check_level(auxiliary, "auxiliary")
    if primary > auxiliary:
        raise ValueError(f"{auxiliary} classes are coarser than {primary}: give the coarser level first.")
    classes = tuple(range(auxiliary))
    level = auxiliary
    while level != primary:
        classes = tuple(_COARSER[level][c] for c in classes)
        level = LEVELS[LEVELS.index(level) - 1]
    return classes


def psi_between(primary: int, auxiliary: int) -> tuple[int, ...]:
    """Return the hierarchy ψ that two levels imply: how many auxiliary classes each primary class holds.

    Args:
        primary: number of primary classes: 3, 10 or 20.
        auxiliary: number of auxiliary classes: 10, 20 or 100, more than ``primary``.

    Raises:
        ValueError: if there is no such level, or the auxiliary level is not the finer one.

    >>> psi_between(3, 20)
    (10, 3, 7)
    """
    if primary == auxiliary:
        raise ValueError(f"the auxiliary level must have more classes than the primary level's {primary}.")
    sizes = Counter(coarser_classes(primary, auxiliary))
    return tuple(sizes[c] for c in range(primary))


def block_order(primary: int, auxiliary: int) -> tuple[int, ...]:
    """Return the number of every auxiliary class once each primary class's block is contiguous.

    The data set numbers its classes by name, but ψ lays the auxiliary classes of primary class 0 first, then
    those of class 1, and so on. Inside a block the data set's order is kept.

    Args:
        primary: number of classes of the coarser level.
        auxiliary: number of classes of the finer level.

    Raises:
        ValueError: if there is no such level, or the second is the coarser one.

    >>> block_order(10, 20)[:4]  # aquatic mammals are medium animals: they come after the 3 large ones
    (3, 5, 10, 13)
    """
    owner = coarser_classes(primary, auxiliary)
    by_block = sorted(range(auxiliary), key=lambda c: (owner[c], c))
    return tuple(by_block.index(c) for c in range(auxiliary))


def check_level(level: int, argument: str) -> None:
    """Raise ``ValueError`` naming the argument unless it is one of the levels."""
    if level not in LEVELS:
        raise ValueError(f"{argument} is {level!r}: the levels of CIFAR-100 are 3, 10, 20 and 100 classes.")
