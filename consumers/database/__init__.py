"""The state database: ``sessions``, the ``targets_table``, arrays as text literals, and the notification's name.

Every room of :mod:`consumers` may import this one; it imports :mod:`ims` alone.
"""
