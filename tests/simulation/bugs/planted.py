"""All planted bugs: known bugs of systems like this one. The simulation must catch each, or it proves nothing."""

from typing import Final

from tests.simulation.bugs import compact_bugs, path_bugs
from tests.simulation.bugs.planting import Plant

BUGS: Final[dict[str, Plant]] = {**path_bugs.BUGS, **compact_bugs.BUGS}
