"""The notification by which materialize and the commands wake compact."""

from typing import Final

CHANNEL: Final = "imsfeed_pending_changes"
"""Notified when marks have been made: there may be something to publish."""
