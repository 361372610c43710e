"""The search for national ids in a program's output."""

import re
from collections.abc import Iterable

# What people and programs write between the digits, and how JSON, HTML and URLs encode that.
_BETWEEN = r"(?:[\s.\-_/]|\\u00a0|&nbsp;|%20|\+){0,2}"


def found(text: str, ids: Iterable[str]) -> list[str]:
    """Return the ids that a text contains, however they are spaced.

    >>> found("person 018190 12345 left", ["01819012345"]), found("person 018190 12346 left", ["01819012345"])
    (['01819012345'], [])
    """
    return [id_ for id_ in ids if re.search(_BETWEEN.join(re.sub(r"\D", "", id_)), text)]
