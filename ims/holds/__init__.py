"""What a publication would take away (``losses``), the ``limits``, and the ``decision`` whether it waits.

Imports :mod:`ims.rules`, :mod:`ims.feed` and what lies below them.
"""
