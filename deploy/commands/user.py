"""Who types a command, for the audit."""

import getpass
import os


def user_name() -> str:
    """The user's name; in a container a user may have a number and no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
