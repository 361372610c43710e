"""Capture: publishes the committed changes of the source database to Kafka. Read the packages from the bottom up.

* :mod:`producers.source` - the source PostgreSQL: sessions, replication, catalog, set-up
* :mod:`producers.events` - its changes as Kafka messages, in order
* :mod:`producers.loads` - the initial load, and the resync of one owner
* :mod:`producers.capture` - the process that streams

Each package may import those above it in this list, and :mod:`ims`; nothing here imports ``consumers``. A source that
is not a PostgreSQL log becomes a package beside ``source``.
"""
