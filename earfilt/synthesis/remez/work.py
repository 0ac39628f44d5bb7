"""How much a search may do: counted in the numbers that it works out, and not by the clock, so that
it ends at the same design on every machine, however busy.
"""

import math


class Work:
    """What is left of a number of steps.

    Parameters
    ----------
    most : float
        Numbers that may be worked out in all; by default any number.

    Examples
    --------
    >>> work = Work(10.0)
    >>> work.spend(6.0); work.spent
    False
    >>> work.spend(6.0); work.spent
    True
    """

    def __init__(self, most: float = math.inf) -> None:
        self._left = most

    def spend(self, numbers: float) -> None:
        """Count what is about to be worked out."""
        self._left -= numbers

    @property
    def spent(self) -> bool:
        """Whether nothing is left; what has begun is still brought to an end."""
        return self._left <= 0.0
