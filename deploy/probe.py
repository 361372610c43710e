"""The health of a container, asked by its platform: `python -m deploy.probe` ends with 1 and says why it is unhealthy.

`imsfeed run` has three processes in one container, each with a port of its own; one process has the first port alone.
"""

import sys
import urllib.error
import urllib.request
from typing import Final

from deploy.process_names import PROCESSES
from ims.runtime.settings import read_settings

_SECONDS: Final = 3
_UNAVAILABLE: Final = 503


def complaint(first_port: int, ports: int = len(PROCESSES)) -> str | None:
    """Return why the container is unhealthy, or ``None``.

    Args:
        first_port: the port at which some process must answer.
        ports: how many ports to ask, the first one included; at the others there need not be a process.
    """
    for port in range(first_port, first_port + ports):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=_SECONDS):
                continue
        except urllib.error.HTTPError as error:
            if port == first_port or error.code == _UNAVAILABLE:
                return error.read(1_000).decode(errors="replace").strip()
        except OSError as error:
            if port == first_port:
                return f"port {port}: {error}"
    return None


if __name__ == "__main__":
    why = complaint(read_settings().metrics_port)
    sys.stdout.write(why or "ok")
    sys.exit(why is not None)
