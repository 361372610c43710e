"""The faults. Each reports whether it really happened, judged by its effect where there is one."""

import contextlib
import resource
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import psycopg

from ims.feed.manifest import decode
from ims.runtime.failpoints import EXIT_CODE
from tests.chaos.plan import Fault, role_of
from tests.chaos.stack.fleet import ProcessRun
from tests.chaos.stack.proxy import Mode
from tests.chaos.stack.world import OWNERS, World
from tests.support.installation import PROCESSES

_EFFECT_SECONDS = 30.0
"""How long to wait for an effect; another part may be broken meanwhile."""
_BACK_SECONDS = -7_200


class Faults:
    """Performs the faults of a plan in *world*; several at a time, but never two at one place."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._extra = 0
        self._kinds: dict[str, Callable[[Fault], bool]] = {
            "kill": self._kill,
            "failpoint": self._failpoint,
            "zombie": self._zombie,
            "server_crash": self._server_crash,
            "server_restart": self._server_restart,
            "kill_without_kafka": self._kill_without_kafka,
            "network": self._network,
            "disk_full": self._disk_full,
            "clock_back": self._clock_back,
            "two_of_each": self._two_of_each,
        }

    def perform(self, fault: Fault) -> bool:
        """Perform a fault and undo it; return True if it really happened."""
        # A database that cannot be reached now is the effect of another fault.
        with self._at(_places(fault)), contextlib.suppress(psycopg.OperationalError):
            return self._kinds[fault.kind.what](fault)
        return False

    @contextlib.contextmanager
    def _at(self, places: list[str]) -> Iterator[None]:
        with contextlib.ExitStack() as held:
            for place in sorted(places):
                held.enter_context(self._locks[place])
            yield

    def _await_effect(self, effect: Callable[[], object], seconds: float = _EFFECT_SECONDS) -> bool:
        """Wait for an effect; return True if it came."""
        deadline = time.monotonic() + seconds
        while not effect():
            if time.monotonic() > deadline or self._world.over.wait(0.02):
                return bool(effect())
        return True

    def _sleep(self, seconds: float) -> None:
        self._world.over.wait(seconds)

    def _kill(self, fault: Fault) -> bool:
        ended, how = self._world.fleet.ended, (fault.where, str(-signal.SIGKILL))
        before = ended[how]
        self._world.fleet.restart(fault.where)
        return ended[how] > before

    def _failpoint(self, fault: Fault) -> bool:
        fleet, role = self._world.fleet, role_of(fault.where)
        if role == "snapshot":
            return fleet.command("snapshot", "--now", "1/lms", FAILPOINT=fault.where) == EXIT_CODE
        self._prepare(fault.where)
        before = fleet.ended[role, fault.where]
        fleet.restart(role, FAILPOINT=fault.where)
        if self._await_effect(lambda: fleet.ended[role, fault.where] > before):
            return True
        fleet.restart(role)  # otherwise it would die at any time later
        return False

    def _prepare(self, point: str) -> None:
        """Cause a load, or a first publication, if the failpoint is in one."""
        if point.startswith("load."):
            self._world.request_load()
        elif point.startswith("first."):
            self._extra += 1
            self._world.add_target(1 + self._extra % len(OWNERS), f"extra-{self._extra}")

    def _zombie(self, fault: Fault) -> bool:
        fleet, role = self._world.fleet, role_of(fault.where)
        run = fleet.restart(role, PAUSE_AT=fault.where)
        if not self._await_effect(run.has_paused):
            fleet.restart(role)
            return False
        second = fleet.second(role)
        self._sleep(fault.seconds)
        run.process.send_signal(signal.SIGCONT)
        awake = self._await_effect(lambda: not run.has_paused())
        second.end(signal.SIGKILL)
        return awake

    def _server_crash(self, fault: Fault) -> bool:
        server = self._world.servers[fault.where]
        server.crash()
        self._sleep(fault.seconds)
        server.start()
        return True

    def _server_restart(self, fault: Fault) -> bool:
        server = self._world.servers[fault.where]
        server.stop()
        self._sleep(fault.seconds * 2)
        server.start()
        return True

    def _kill_without_kafka(self, fault: Fault) -> bool:
        """Kill capture while Kafka is away: what it has read and Kafka does not have must be read again.

        The pause is longer than a second, so that capture reports its position to the source meanwhile.
        """
        kafka = self._world.kafka
        kafka.crash()
        self._sleep(2 + fault.seconds)
        self._world.fleet.restart("capture")
        kafka.start()
        return True

    def _network(self, fault: Fault) -> bool:
        server, _, name = fault.where.partition(" ")
        proxy = self._world.servers[server].proxy
        if name == "reset":
            return self._await_effect(proxy.reset)
        if not self._await_effect(lambda: proxy.connections):
            return False
        mode = Mode(name)
        before = proxy.pieces[mode]
        reset = proxy.set(mode)
        try:
            self._sleep(fault.seconds)
            return self._await_effect(lambda: reset or proxy.pieces[mode] > before)
        finally:
            proxy.set(Mode.THROUGH)

    def _disk_full(self, fault: Fault) -> bool:
        run = self._world.fleet.current("compact")
        before = run.errors["OSError"]
        try:
            run.limit_files(int(fault.seconds * 400))  # bytes: writes fail in the middle of a file
            seen = self._await_effect(lambda: run.errors["OSError"] > before)
            self._sleep(fault.seconds)
        finally:
            with contextlib.suppress(ProcessLookupError):
                run.limit_files(resource.RLIM_INFINITY)
        return seen

    def _clock_back(self, fault: Fault) -> bool:
        world = self._world
        world.clock.write_text(str(_BACK_SECONDS))
        try:
            seen = self._await_effect(self._manifest_of_the_past)
            self._sleep(fault.seconds)
        finally:
            world.clock.write_text("0")
        return seen

    def _manifest_of_the_past(self) -> bool:
        past = datetime.now(UTC) + timedelta(seconds=_BACK_SECONDS / 2)
        manifests = self._world.feed.glob("*/*/manifest.json")
        return any(decode(path.read_bytes()).checked < past for path in manifests)

    def _two_of_each(self, fault: Fault) -> bool:
        seconds: list[ProcessRun] = [self._world.fleet.second(name) for name in PROCESSES]
        self._sleep(fault.seconds * 3)
        both = all(run.process.poll() is None for run in seconds)
        by = (signal.SIGKILL, signal.SIGTERM)[int(fault.seconds * 10) % 2]
        codes = {run.end(by) for run in seconds}
        return both and codes <= {0, -by}


def _places(fault: Fault) -> list[str]:
    """Return the places that a fault needs for itself."""
    if fault.kind.what == "two_of_each":
        # Otherwise the second process could pass the failpoint at which the first is to die.
        return [fault.kind.place, *PROCESSES]
    if fault.kind.what == "kill_without_kafka":
        return [fault.kind.place, "capture"]
    return [fault.kind.place]
