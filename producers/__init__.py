"""Capture: committed changes of the source database, published to Kafka. Read from the bottom up.

* :mod:`producers.source` - the source PostgreSQL: sessions, replication, catalog, set-up
* :mod:`producers.events` - its changes as Kafka messages, in order
* :mod:`producers.loads` - the initial load, and the resync of one owner
* :mod:`producers.capture` - the process that streams

Imports :mod:`ims` alone. A source that is not a PostgreSQL log becomes a room beside ``source``.
"""
