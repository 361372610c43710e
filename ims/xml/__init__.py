"""Records to XML and back, in both dialects, and the schemas of both.

``writer`` and ``pifu`` write, from ``elements`` and ``fragments``; ``reader`` and ``decoding`` read; ``schema`` checks,
with ``shapes`` for what it cannot say. Imports :mod:`ims.records`, :mod:`ims.identifiers` and :mod:`ims.errors`.
"""
