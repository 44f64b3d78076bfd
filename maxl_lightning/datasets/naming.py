"""Lists of names in messages."""

from collections.abc import Sequence

__all__ = ["listed"]


def listed(names: Sequence[object], most: int = 10) -> str:
    """Return names as text, and of a long list the first ones and how many more there are.

    >>> listed(["cat", "dog"]), listed(range(1000), most=2)
    ('cat, dog', '0, 1 and 998 more')
    """
    shown = ", ".join(str(name) for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
