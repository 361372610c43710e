"""One run: break everything for a while, undo the faults, wait until all is published, and judge."""

import itertools
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import psycopg
from rich.console import Console
from rich.table import Table

from tests.chaos.checkers import oracle
from tests.chaos.checkers.importer import Importer
from tests.chaos.checkers.oracle import Target
from tests.chaos.faults import Faults
from tests.chaos.plan import Fault, Kind, gone_for_minutes, is_at_start, kinds, plan
from tests.chaos.stack.world import OWNERS, World
from tests.chaos.workload.driver import Change, Driver, enrol, leave
from tests.support.waiting import until

_LONG_RUN_SECONDS = 240.0
"""In a run of at least this length every kind of fault must happen, and Kafka is away for minutes at its end."""
_TRIES = 3
"""How often a fault may fail to happen in a shorter run, because something else is broken at the same time."""
_RECOVERED_SECONDS = 180.0
"""The longest that a repaired installation may take to publish everything. Retries pause for up to 30 s."""


class Verdict(NamedTuple):
    """The result of a run.

    Attributes:
        problems: what is wrong; nothing if the run was clean.
        begun: how often each kind of fault was begun.
        happened: how often it really happened.
    """

    problems: list[str]
    begun: Counter[str]
    happened: Counter[str]


class Run:
    """A run in *world* that breaks things for so many *seconds* and reports to *console*."""

    def __init__(self, world: World, seed: int, seconds: float, console: Console) -> None:
        self._is_long = long = seconds >= _LONG_RUN_SECONDS
        self._world = world
        self._seed = seed
        self._seconds = seconds
        self._console = console
        self._faults = Faults(world)
        self._kinds = kinds(restartable=world.kafka.keeps_data)
        self._tries = 0 if long else _TRIES
        self._last = [gone_for_minutes()] if long and world.kafka.keeps_data else []
        self._driver = Driver(world.source.dsn(), seed, OWNERS)
        self._begun = time.monotonic()
        self._begun_of: Counter[str] = Counter()
        self._happened: Counter[str] = Counter()

    def run(self) -> Verdict:
        """Break things, and judge."""
        self._world.set_up()
        self._world.fleet.start()
        at_start = [kind for kind in self._kinds if is_at_start(kind)]
        for fault in itertools.islice(plan(self._seed, "start", at_start), len(at_start)):
            self._perform(fault)
        importer = Importer(self._world.feed)
        try:
            # Otherwise a removal before the load's end would be found by the load alone, and wait for an approval.
            until(self._world.is_loaded, within=90, what="everything is loaded")
            until(lambda: all(target.log.manifest() for target in self._targets()), within=90, what="all is published")
            self._say("[bold]everything is published[/bold]")
            self._break_under_load()
            problems = self._await_published() or self._check_calm()
            problems += self._world.fleet.close()
        finally:
            importer.stop()
        return Verdict([*problems, *self._judge(importer)], self._begun_of, self._happened)

    def _break_under_load(self) -> None:
        """Break things while the workload goes on."""
        self._driver.start()
        try:
            self._break()
            if self._is_long:
                self._break_what_never_broke()
            self._say("[bold]every fault is over; waiting until all is published[/bold]")
        finally:
            self._driver.stop()

    def _break(self) -> None:
        """Perform the faults of the plan, one after the other at each place, and undo them all."""
        places = defaultdict[str, list[Kind]](list)
        for kind in self._kinds:
            if not is_at_start(kind):
                places[kind.place].append(kind)
        with ThreadPoolExecutor(len(places)) as pool:
            under_way = [pool.submit(self._break_at, plan(self._seed, *place)) for place in places.items()]
            try:
                self._world.over.wait(self._seconds)
                for fault in self._last:  # while others go on at other places
                    self._perform(fault)
            finally:
                self._world.over.set()
        for future in under_way:
            future.result()

    def _break_what_never_broke(self) -> None:
        """Perform the faults that never happened, one at a time, while nothing else is broken.

        On a busy machine a process may be broken by another fault each time before it comes to its failpoint.
        """
        self._world.over.clear()
        try:
            for kind in (kind for kind in self._kinds if not is_at_start(kind)):
                for fault in itertools.islice(plan(self._seed, f"again {kind.name}", [kind]), _TRIES):
                    if self._happened[kind.name]:
                        break
                    self._perform(fault)
        finally:
            self._world.over.set()

    def _break_at(self, planned: Iterator[Fault]) -> None:
        for fault in planned:
            if self._world.over.wait(fault.pause):
                return
            self._perform(fault)

    def _perform(self, fault: Fault) -> None:
        name = fault.kind.name
        self._say(f"{name} …")
        happened = self._faults.perform(fault)
        if happened or not self._world.over.is_set():  # otherwise the run's end has cut it short
            self._begun_of[name] += 1
            self._happened[name] += happened
        self._say(f"{name}: " + ("[green]happened, and is over" if happened else "[red]did not happen"))

    def _await_published(self) -> list[str]:
        """Wait until every importer has what the source says; return what is still different when time is up."""
        deadline = time.monotonic() + _RECOVERED_SECONDS
        while wrong := [
            one for target in self._targets() for one in oracle.differences(self._world.source.dsn(), target)
        ]:
            if time.monotonic() > deadline:
                return wrong
            time.sleep(0.2)
        self._say("every importer has what the source says")
        return []

    def _check_calm(self) -> list[str]:
        """Check that in the calm after the faults every change is published exactly once."""
        calm = Driver(self._world.source.dsn(), self._seed + 1, OWNERS)
        calm._used, calm._serial, calm._version = self._driver._used, self._driver._serial, self._driver._version
        came = self._step(calm, enrol)
        problems = self._await_published()
        self._step(calm, leave)
        problems += self._await_published()
        self._driver.pairs |= calm.pairs
        self._driver.people |= calm.people
        return problems if came else [*problems, "nothing could be changed in the calm"]

    def _step(self, driver: Driver, kind: Change) -> int:
        """Make a few changes of one kind for every owner, and return how many the driver has made."""
        with psycopg.connect(self._world.source.dsn(), autocommit=True) as connection:
            for owner in OWNERS:
                for _ in range(3):
                    driver.transaction(connection, kind, owner, rolled_back=False)
                driver.view(connection, owner)
        return driver.done.total()

    def _judge(self, importer: Importer) -> Iterator[str]:
        for target in self._targets():
            yield from (f"{target.name}: {problem}" for problem in target.log.problems())
            yield from oracle.never_true(target, self._driver)
        yield from importer.problems
        yield from self._world.fleet.unexpected
        with psycopg.connect(self._world.state.dsn()) as connection:
            for (reason,) in connection.execute("select reason from imsfeed.quarantine"):
                yield f"a message is in quarantine: {reason}"
        for kind in self._all_kinds():
            if (begun := self._begun_of[kind.name]) >= self._tries and not self._happened[kind.name]:
                yield f"begun {begun} times, but never really happened: {kind.name}"

    def _all_kinds(self) -> list[Kind]:
        return [*self._kinds, *(fault.kind for fault in self._last)]

    def _targets(self) -> list[Target]:
        return oracle.targets(self._world.state.dsn(), self._world.feed)

    def _say(self, text: str) -> None:
        self._console.print(f"[dim]{time.monotonic() - self._begun:7.1f} s[/dim]  {text}", highlight=False)

    def counts(self) -> Table:
        """Return a table of how often each kind of fault was begun and really happened, and of the workload."""
        table = Table("fault", "begun", "happened", title=f"seed {self._seed}")
        for kind in self._all_kinds():
            table.add_row(kind.name, str(self._begun_of[kind.name]), str(self._happened[kind.name]))
        table.add_section()
        for transaction, count in sorted(self._driver.done.items()):
            table.add_row(f"transactions: {transaction}", "", str(count))
        deltas = sum(len(target.log.deltas()) for target in self._targets() if target.log.manifest() is not None)
        table.add_row("deltas", "", str(deltas))
        return table
