"""The faults, each of which tells whether it really happened, judged by its effect where there is one to see."""

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
from tests.chaos.fleet import Life
from tests.chaos.plan import Fault, role_of
from tests.chaos.proxy import Mode
from tests.chaos.world import OWNERS, World
from tests.support.installation import PROCESSES

_EFFECT_SECONDS = 30.0
"""How long an effect is waited for; the path may be broken elsewhere meanwhile."""
_BACK_SECONDS = -7_200


class Faults:
    """Makes the faults of a plan happen in *world*; several at a time, but never two at one place."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._extra = 0
        self._kinds: dict[str, Callable[[Fault], bool]] = {
            "kill": self._kill,
            "failpoint": self._crash_point,
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
        """Make it happen and heal it, and return whether it really happened."""
        # A database that is away just now is another fault's doing.
        with self._at(_places(fault)), contextlib.suppress(psycopg.OperationalError):
            return self._kinds[fault.kind.what](fault)
        return False

    @contextlib.contextmanager
    def _at(self, places: list[str]) -> Iterator[None]:
        with contextlib.ExitStack() as held:
            for place in sorted(places):
                held.enter_context(self._locks[place])
            yield

    def _see(self, effect: Callable[[], object], seconds: float = _EFFECT_SECONDS) -> bool:
        """Wait for an effect, and tell whether it came."""
        deadline = time.monotonic() + seconds
        while not effect():
            if time.monotonic() > deadline or self._world.over.wait(0.02):
                return bool(effect())
        return True

    def _hold(self, seconds: float) -> None:
        self._world.over.wait(seconds)

    def _kill(self, fault: Fault) -> bool:
        ended, how = self._world.fleet.ended, (fault.where, str(-signal.SIGKILL))
        before = ended[how]
        self._world.fleet.restart(fault.where)
        return ended[how] > before

    def _crash_point(self, fault: Fault) -> bool:
        fleet, role = self._world.fleet, role_of(fault.where)
        if role == "snapshot":
            return fleet.command("snapshot", "--now", "1/lms", FAILPOINT=fault.where) == EXIT_CODE
        self._prepare(fault.where)
        before = fleet.ended[role, fault.where]
        fleet.restart(role, FAILPOINT=fault.where)
        if self._see(lambda: fleet.ended[role, fault.where] > before):
            return True
        fleet.restart(role)  # or it would die at any time later
        return False

    def _prepare(self, point: str) -> None:
        """Let there be a load, or a first publication, if the crash point is in one."""
        if point.startswith("load."):
            self._world.order_load()
        elif point.startswith("first."):
            self._extra += 1
            self._world.add_target(1 + self._extra % len(OWNERS), f"extra-{self._extra}")

    def _zombie(self, fault: Fault) -> bool:
        fleet, role = self._world.fleet, role_of(fault.where)
        life = fleet.restart(role, PAUSE_AT=fault.where)
        if not self._see(life.has_paused):
            fleet.restart(role)
            return False
        second = fleet.second(role)
        self._hold(fault.seconds)
        life.process.send_signal(signal.SIGCONT)
        awake = self._see(lambda: not life.has_paused())
        second.end(signal.SIGKILL)
        return awake

    def _server_crash(self, fault: Fault) -> bool:
        server = self._world.servers[fault.where]
        server.crash()
        self._hold(fault.seconds)
        server.start()
        return True

    def _server_restart(self, fault: Fault) -> bool:
        server = self._world.servers[fault.where]
        server.stop()
        self._hold(fault.seconds * 2)
        server.start()
        return True

    def _kill_without_kafka(self, fault: Fault) -> bool:
        """What capture has read and Kafka has not must come again; it reports how far it is once a second."""
        kafka = self._world.kafka
        kafka.crash()
        self._hold(2 + fault.seconds)
        self._world.fleet.restart("capture")
        kafka.start()
        return True

    def _network(self, fault: Fault) -> bool:
        server, _, name = fault.where.partition(" ")
        proxy = self._world.servers[server].proxy
        if name == "cut":
            return self._see(proxy.publication)
        if not self._see(lambda: proxy.connections):
            return False
        mode = Mode(name)
        before = proxy.pieces[mode]
        reset = proxy.set(mode)
        try:
            self._hold(fault.seconds)
            return self._see(lambda: reset or proxy.pieces[mode] > before)
        finally:
            proxy.set(Mode.THROUGH)

    def _disk_full(self, fault: Fault) -> bool:
        life = self._world.fleet.life("compact")
        before = life.errors["OSError"]
        try:
            life.limit_files(int(fault.seconds * 400))  # in the middle of a file
            seen = self._see(lambda: life.errors["OSError"] > before)
            self._hold(fault.seconds)
        finally:
            with contextlib.suppress(ProcessLookupError):
                life.limit_files(resource.RLIM_INFINITY)
        return seen

    def _clock_back(self, fault: Fault) -> bool:
        world = self._world
        world.clock.write_text(str(_BACK_SECONDS))
        try:
            seen = self._see(self._manifest_of_the_past)
            self._hold(fault.seconds)
        finally:
            world.clock.write_text("0")
        return seen

    def _manifest_of_the_past(self) -> bool:
        past = datetime.now(UTC) + timedelta(seconds=_BACK_SECONDS / 2)
        manifests = self._world.feed.glob("*/*/manifest.json")
        return any(decode(path.read_bytes()).checked < past for path in manifests)

    def _two_of_each(self, fault: Fault) -> bool:
        seconds: list[Life] = [self._world.fleet.second(name) for name in PROCESSES]
        self._hold(fault.seconds * 3)
        both = all(life.process.poll() is None for life in seconds)
        by = (signal.SIGKILL, signal.SIGTERM)[int(fault.seconds * 10) % 2]
        codes = {life.end(by) for life in seconds}
        return both and codes <= {0, -by}


def _places(fault: Fault) -> list[str]:
    """What a fault needs for itself."""
    if fault.kind.what == "two_of_each":
        return [fault.kind.place, *PROCESSES]  # or the second one would do what the first is to die of
    if fault.kind.what == "kill_without_kafka":
        return [fault.kind.place, "capture"]
    return [fault.kind.place]
