"""The feed: ``delta``, its ``delta_files``, the ``manifest``, and the ``verification`` of a feed from its files alone.

``verification`` goes step by step: ``step`` compares two snapshots and the ``changes`` between them, ``chain`` checks the
numbers and digests, ``files`` reads, ``references`` counts memberships without a person or group. ``previous_ids`` lets
a changed id say what it was, ``conflicts`` names why a feed is halted. Imports :mod:`ims.source`, :mod:`ims.targets`,
:mod:`ims.xml` and what lies below them.
"""
