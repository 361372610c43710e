"""Checks the locks for versions with known vulnerabilities: part of `make lint`, ``python -m deploy.audit``.

pip-audit asks an advisory service about every pinned version. If the service cannot be reached, or does not know a
package, one line says so and the audit passes, since lint must also work without a network. A vulnerability fails it.
"""

import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec

_LOCKS: Final = sorted((Path(__file__).parent / "lock").glob("*.txt"))
_TIMEOUT_SECONDS: Final = 300
_COMMAND: Final = (
    *(sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off", "--timeout", "10"),
    *("--require-hashes", "--disable-pip"),
    *(word for lock in _LOCKS for word in ("--requirement", str(lock))),
)


class _Vulnerability(msgspec.Struct):
    id: str
    fix_versions: list[str] = []


class _Dependency(msgspec.Struct):
    name: str
    version: str = ""
    vulns: list[_Vulnerability] = []
    skip_reason: str | None = None


class _Audit(msgspec.Struct):
    dependencies: list[_Dependency]


def verdict(output: bytes, last_error: str = "") -> tuple[int, str]:
    """Return exit code and text for the output of pip-audit.

    Args:
        output: what pip-audit wrote with ``--format json``; not JSON if it reached no service.
        last_error: the last line of its error output.
    """
    try:
        dependencies = msgspec.json.decode(output, type=_Audit).dependencies
    except msgspec.DecodeError:
        return 0, f"dependencies not audited: no answer from the advisory service ({last_error[:200]})"
    found = [
        f"{one.name} {one.version}: {known.id}, fixed in {' or '.join(known.fix_versions) or 'no version yet'}"
        for one in dependencies
        for known in one.vulns
    ]
    if found:
        return 1, "\n".join([*found, "run `make lock`, or record in docs/decisions.md why imsfeed is not affected"])
    unknown = sum(one.skip_reason is not None for one in dependencies)
    if unknown:
        return 0, f"dependencies not audited: the advisory service does not know {unknown} of {len(dependencies)}"
    return 0, f"dependencies audited: {len(dependencies)} packages, no known vulnerability"


def main() -> None:
    """Audit the locks, print the result, and exit."""
    done = subprocess.run(_COMMAND, capture_output=True, check=False, timeout=_TIMEOUT_SECONDS)
    errors = done.stderr.decode(errors="replace").split("\n")
    code, text = verdict(done.stdout, next((line for line in reversed(errors) if line.strip()), ""))
    sys.stdout.write(f"{text}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
