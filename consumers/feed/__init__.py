"""The files of the feed: ``feed_directory`` writes them, with ``feed_permissions``.

``snapshots`` and ``manifests`` bring the state into files, ``feed_check`` compares the folder with what was recorded,
``republish`` begins again after a loss. Imports :mod:`consumers.publication` and what lies below it.
"""
