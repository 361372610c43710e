"""What a target must be sent next, decided from what was gathered: roster, difference, holds, exclusions, ids.

``gathered`` says what has to be known, ``decision`` decides. Nothing here reads anything. Imports :mod:`ims.holds` and
what lies below it.
"""
