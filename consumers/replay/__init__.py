"""An events file in, a feed out, without servers: the same rules and the same writers.

``events_file`` and ``export_events`` read and write the file, with ``pseudonyms`` and ``substitute_ids`` for one that
may be handed on; ``replay`` and ``replay_feed`` are the run, over facts and targets in memory: ``memory_store``,
``memory_target`` and ``memory_view``. Imports :mod:`consumers.feed` and what lies below it.
"""
