"""Whether anything known to be vulnerable stands in the locks: part of `make lint`, ``python -m deploy.audit``.

pip-audit asks an advisory service about every pinned version. Where the service cannot be reached, or does not know a
package, that is said in one line and is no failure: lint must also work without a network. A finding is a failure.
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


def verdict(output: bytes, complaint: str = "") -> tuple[int, str]:
    """Exit code and text for what pip-audit has written, which is nothing readable when it reached no service.

    Args:
        output: of ``--format json``.
        complaint: the last line that it wrote beside that.
    """
    try:
        dependencies = msgspec.json.decode(output, type=_Audit).dependencies
    except msgspec.DecodeError:
        return 0, f"dependencies not audited: no answer of the advisory service ({complaint[:200]})"
    found = [
        f"{one.name} {one.version}: {known.id}, mended in {' or '.join(known.fix_versions) or 'no version yet'}"
        for one in dependencies
        for known in one.vulns
    ]
    if found:
        return 1, "\n".join([*found, "run `make lock`, or say in docs/decisions.md why it does not concern us"])
    unknown = sum(one.skip_reason is not None for one in dependencies)
    if unknown:
        return 0, f"dependencies not audited: the advisory service knows nothing of {unknown} of {len(dependencies)}"
    return 0, f"dependencies audited: {len(dependencies)} packages, nothing known against any"


def main() -> None:
    """Audit the locks, say what came of it, and exit."""
    done = subprocess.run(_COMMAND, capture_output=True, check=False, timeout=_TIMEOUT_SECONDS)
    complaints = done.stderr.decode(errors="replace").split("\n")
    code, text = verdict(done.stdout, next((line for line in reversed(complaints) if line.strip()), ""))
    sys.stdout.write(f"{text}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
