"""The feed: ``delta`` and ``delta_split``, the ``manifest``, and its ``verification`` from the files alone.

``previous_ids`` lets a changed id say what it was, ``conflicts`` names why a feed is halted. Imports :mod:`ims.source`,
:mod:`ims.targets`, :mod:`ims.xml` and what lies below them.
"""
