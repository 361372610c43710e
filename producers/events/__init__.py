"""Changes of the source as Kafka messages, and the producer that sends them.

``change_events`` makes the messages, ``ordered_events`` numbers them within a transaction, ``publisher`` sends them
through ``batched_producer``. Imports :mod:`producers.source` and :mod:`ims`.
"""
