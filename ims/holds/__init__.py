"""What a publication would take away (``losses``), the ``limits``, and the ``decision`` whether it waits.

Pure: the rows of a hold are stored by :mod:`consumers.holds`. Imports :mod:`ims.rules`, :mod:`ims.xml` and what lies
below them.
"""
