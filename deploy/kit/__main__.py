"""Entry point: ``python -m deploy.kit FOLDER`` writes the conformance kit."""

import sys
from pathlib import Path

from deploy.kit.kit import write

write(Path(sys.argv[1]))
