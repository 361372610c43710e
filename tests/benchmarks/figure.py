"""A figure of the benchmark: what we took, what the reference took in the same run, and what is asked of the two."""

from typing import Any, Final, Literal

import msgspec

Bound = Literal["at least", "at most"]


class Wanted(msgspec.Struct, frozen=True):
    """What a figure has to reach.

    Attributes:
        bound: whether more is better.
        value: of the ratio, or of our own measure where there is no reference.
        of_ours: of our own measure though there is a reference, which only says how near one could come.
    """

    bound: Bound
    value: float
    of_ours: bool = False

    def is_reached(self, value: float) -> bool:
        """Whether *value* is good enough."""
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
    "cut_100_large_vs_small": Wanted("at most", 1.3),
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
"""Every figure there is, and what it has to reach; ``None`` where it is only reported."""


class Figure(msgspec.Struct, frozen=True):
    """What was measured.

    Attributes:
        name: one of :data:`WANTED`.
        ours: our measure, in *unit*.
        reference: that of the reference, or ``None`` where there is none.
        unit: of both.
        note: sizes, and what else one must know to read it.
    """

    name: str
    ours: float
    reference: float | None
    unit: str
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours by the reference's.

        >>> Figure("capture_vs_producer", 30_000, 40_000, "rows/s").ratio
        0.75
        """
        return None if not self.reference else self.ours / self.reference

    @property
    def is_reached(self) -> bool | None:
        """Whether what is wanted was reached; ``None`` if nothing is.

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
        """The object of ``bench.json``.

        Args:
            command: that measures this figure again.
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
