"""The feed: ``delta``, its ``delta_files``, the ``manifest``, and the ``verification`` of a feed from its files alone.

``verification`` works step by step: ``step`` compares two snapshots and the ``changes`` between them, ``chain`` checks
the numbers and digests, ``files`` reads, ``references`` counts memberships without a person or group. ``previous_ids``
adds the old id to a person whose id changes, ``conflicts`` names why a target is halted. Imports :mod:`ims.source`,
:mod:`ims.targets`, :mod:`ims.xml` and the packages below them.
"""
