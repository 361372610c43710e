"""Replay of an events file into feeds, without servers: the same rules and the same writers as in production.

``events_file`` and ``export_events`` read and write the file; ``pseudonyms`` and ``substitute_ids`` remove personal
data from it. ``replay`` and ``replay_feed`` are the run, over facts and targets in memory: ``memory_store``,
``memory_target`` and ``memory_view``. Imports :mod:`consumers.feed` and what lies below it.
"""
