"""Entry point: ``python -m deploy`` is `imsfeed`."""

from deploy.cli import run

run()
