"""The process from the state to the files: ``process`` is the loop.

``timing`` says when what is due, ``full_files`` writes what is large beside the loop, ``deadline_margin`` measures how
much time the importers' hours leave. May import every room of :mod:`consumers` but ``operations``.
"""
