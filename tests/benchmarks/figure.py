"""A figure of the benchmarks: our measurement, the reference's in the same run, and what is required of the two."""

from typing import Any, Final, Literal

import msgspec

Bound = Literal["at least", "at most"]


class Wanted(msgspec.Struct, frozen=True):
    """What a figure has to reach.

    Attributes:
        bound: ``at least`` if more is better.
        value: the bound of the ratio, or of our own measurement if there is no reference.
        of_ours: the bound is of our own measurement; the reference only says what would be possible.
    """

    bound: Bound
    value: float
    of_ours: bool = False

    def is_reached(self, value: float) -> bool:
        """Return True if *value* is good enough."""
        return value >= self.value if self.bound == "at least" else value <= self.value

    def __str__(self) -> str:
        return f"{'≥' if self.bound == 'at least' else '≤'} {self.value:g}"


WANTED: Final[dict[str, Wanted | None]] = {
    "capture_vs_producer": Wanted("at least", 0.7),
    "capture_vs_debezium_cold": Wanted("at least", 1.2),
    "capture_vs_debezium_warm": Wanted("at least", 0.65),
    "capture_latency_vs_debezium": Wanted("at most", 0.5),
    "capture_memory_vs_debezium": Wanted("at most", 0.15),
    "capture_start_vs_debezium": Wanted("at most", 0.2),
    "materialize_vs_harmonic": Wanted("at least", 0.7),
    "delta_100_large_vs_small": Wanted("at most", 1.3),
    "delta_100k_vs_lxml": Wanted("at least", 0.5),
    "snapshot_vs_copy": Wanted("at least", 0.7),
    "snapshot_vs_xmlfile": Wanted("at least", 5),
    "snapshot_memory_large_vs_small": Wanted("at most", 1.1),
    "snapshot_memory_mb": Wanted("at most", 200),
    "latency_p50_ms": Wanted("at most", 300, of_ours=True),
    "latency_p99_ms": Wanted("at most", 1000, of_ours=True),
    "idle_cpu_percent": Wanted("at most", 2),
    "idle_memory_mb": Wanted("at most", 250),
    "first_load_vs_copy": None,
    "two_vs_one": Wanted("at least", 1.6),
}
"""Every figure, and what it has to reach; ``None`` if it is only reported."""


class Figure(msgspec.Struct, frozen=True):
    """A measured figure.

    Attributes:
        name: one of :data:`WANTED`.
        ours: our measurement, in *unit*.
        reference: the reference's measurement, or ``None`` if there is no reference.
        unit: the unit of both.
        note: sizes, and what else a reader must know.
    """

    name: str
    ours: float
    reference: float | None
    unit: str
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Our measurement divided by the reference's.

        >>> Figure("capture_vs_producer", 30_000, 40_000, "rows/s").ratio
        0.75
        """
        return None if not self.reference else self.ours / self.reference

    @property
    def is_reached(self) -> bool | None:
        """True if the figure reaches what is wanted; ``None`` if nothing is wanted.

        >>> Figure("idle_cpu_percent", 1.2, None, "% of one core").is_reached
        True
        >>> Figure("latency_p50_ms", 290, 201, "ms").is_reached
        True
        """
        wanted = WANTED[self.name]
        if wanted is None:
            return None
        return wanted.is_reached(self.ours if self.ratio is None or wanted.of_ours else self.ratio)

    def as_json(self, command: str) -> dict[str, Any]:
        """Return the object for ``bench.json``.

        Args:
            command: the command that measures this figure again.
        """
        wanted = WANTED[self.name]
        return {
            "name": self.name,
            "ours": self.ours,
            "reference": self.reference,
            "ratio": self.ratio,
            "unit": self.unit,
            "command": command,
            "wanted": None if wanted is None else str(wanted),
            "reached": self.is_reached,
            "note": self.note,
        }


class NotMeasured(msgspec.Struct, frozen=True):
    """A figure that could not be measured here, and why."""

    name: str
    why: str
