"""`python -m deploy` is `imsfeed`."""

from deploy.cli import main

main()
