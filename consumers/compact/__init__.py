"""The process that publishes the state database as files: ``process`` is the loop.

``timing`` says when the next step is due, ``full_files`` writes the large files beside the loop, ``deadline_margin``
measures the time left before the importers read. May import every folder of :mod:`consumers` except ``operations``.
"""
