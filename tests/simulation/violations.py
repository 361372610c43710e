"""The error of a schedule that breaks a guarantee."""


class ViolationError(AssertionError):
    """A guarantee is broken; the text says which."""
