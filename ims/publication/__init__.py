"""The decision about what a target must be sent next: roster, difference, holds, exclusions, ids.

``gathered`` defines what has to be known, ``decision`` decides. Nothing here reads files or databases. Imports
:mod:`ims.holds` and what lies below it.
"""
