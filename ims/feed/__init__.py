"""The feed of one target: what its files are called, what a delta is, and how the files are verified.

* ``manifest``: the file that names the others; the paths of deltas and snapshots
* ``delta``, ``previous_ids``, ``delta_files``: the difference between published and current records, and its files
* ``verification``: whether a feed is in order, from its files alone; stands on ``chain`` (the lists), ``files`` (each
  file by itself) and ``step`` (two snapshots and the deltas between them), which stands on ``changes`` and
  ``references``
* ``conflicts``: why a target is halted

Imports :mod:`ims.source`, :mod:`ims.targets`, :mod:`ims.xml` and the packages below them.
"""
