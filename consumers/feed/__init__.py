"""The files of the feed. ``feed_directory`` is the only module that writes them; ``feed_permissions`` checks the modes.

``snapshots`` and ``manifests`` turn the state database into files, ``feed_check`` compares the folder with what was
recorded, ``republish`` writes a feed again after a loss. Imports :mod:`consumers.publication` and what lies below it.
"""
