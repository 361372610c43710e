"""How a process is asked to stop, and how its loops notice it immediately."""

import contextlib
import math
import select
import signal
import socket
import weakref
from collections.abc import Iterator
from types import FrameType


class Stop:
    """The request to stop a process: a flag that a loop can check, wait for, or pass to ``select``.

    It may be set from any thread and from a signal handler, and stays set. A socket pair makes it a file descriptor, so
    that one call can wait for the stop and for a database or a broker.
    """

    def __init__(self) -> None:
        self._asked = False
        self._readable, self._writable = socket.socketpair()
        self._writable.setblocking(False)
        # The descriptors are closed with the object even if the caller forgets to.
        self.close = weakref.finalize(self, _close, self._readable, self._writable)

    def set(self) -> None:
        """Ask to stop. Asking again changes nothing."""
        if not self._asked:
            self._asked = True
            # The sockets may be closed already: then no call waits any more, and the flag is enough.
            with contextlib.suppress(OSError):
                self._writable.send(b"\0")

    def wait(self, seconds: float) -> bool:
        """Wait until asked to stop, but at most so many seconds; return True if asked."""
        if not self._asked:
            # poll, because select fails for descriptors above 1023; rounded up, because rounding down would spin.
            poll = select.poll()
            poll.register(self._readable, select.POLLIN)
            poll.poll(math.ceil(max(seconds, 0) * 1000))
        return self._asked

    def fileno(self) -> int:
        """Return a descriptor that becomes readable once asked to stop; do not read from it."""
        return self._readable.fileno()

    def __bool__(self) -> bool:
        return self._asked


def _close(*sockets: socket.socket) -> None:
    for one in sockets:
        one.close()


@contextlib.contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Yield a stop that SIGTERM and SIGINT set; only the main thread may enter.

    The first signal restores the former handlers, so that a second one ends a process that does not react.
    """
    stop = Stop()
    # A signal that arrives just before a system call, or in another thread, does not interrupt the call, and Python
    # runs the handler only after it. The byte that Python writes here as soon as the signal arrives ends the wait.
    former_wakeup = signal.set_wakeup_fd(stop._writable.fileno(), warn_on_full_buffer=False)  # noqa: SLF001 - its own module
    former = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def restore() -> None:
        signal.set_wakeup_fd(former_wakeup)
        for number, handler in former.items():
            # None: the handler was not installed from Python, which cannot install it again.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
        restore()
        stop.set()

    for number in former:
        signal.signal(number, ask_to_stop)
    try:
        yield stop
    finally:
        restore()
        stop.close()
