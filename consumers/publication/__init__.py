"""What an importer must be sent next: ``evaluation`` is the core, the others are its uses.

``delta`` and ``urgent_delta`` publish changes, ``first_publication`` everything, ``plan`` shows what changed settings
would do; ``delta_files`` makes the bytes, ``leave_now_expiry`` ends orders that the source agrees with. Imports
:mod:`consumers.holds` and what lies below it.
"""
