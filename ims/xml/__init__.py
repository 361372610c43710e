"""Records to XML and back, in both dialects, and the schemas of both.

``writer`` and ``pifu`` write, with ``elements``; ``reader``, ``decoding`` and ``fragments`` read what these write, as
``shapes`` describes it; ``schema`` checks a file against the standard. Imports :mod:`ims.records` and
:mod:`ims.errors`.
"""
