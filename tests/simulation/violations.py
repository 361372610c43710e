"""What a schedule must never show."""


class ViolationError(AssertionError):
    """What must never happen has happened; says what."""
