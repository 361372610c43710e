"""Known bugs of systems like this one, planted one at a time: each must be caught, or the simulation shows nothing."""

from typing import Final

from tests.simulation import compact_bugs, path_bugs
from tests.simulation.planting import Plant

BUGS: Final[dict[str, Plant]] = {**path_bugs.BUGS, **compact_bugs.BUGS}
