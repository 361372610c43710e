"""The state database: ``sessions``, ``targets_table``, ``array_literals`` and the name of the ``notifications``.

Every folder of :mod:`consumers` may import this one; it imports :mod:`ims` only.
"""
