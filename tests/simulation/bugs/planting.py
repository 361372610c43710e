"""A list of bugs that are planted by name."""

from collections.abc import Callable

import pytest

Plant = Callable[[pytest.MonkeyPatch], None]


class Bugs(dict[str, Plant]):
    """Bugs by name."""

    def enter(self, plant: Plant) -> Plant:
        """Enter a bug under its function's name, in words; to be used as a decorator."""
        self[plant.__name__.replace("_", " ")] = plant
        return plant
