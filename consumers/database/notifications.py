"""The PostgreSQL notification by which materialize and the commands wake compact."""

from typing import Final

CHANNEL: Final = "imsfeed_pending_changes"
"""The channel to notify when pending changes have been inserted: there may be something to publish."""
