"""Changes of the source as Kafka messages, and the producer that sends them.

``change_events`` turns changes into events, ``ordered_events`` numbers them within their transaction, ``publisher``
sends them through ``batched_producer``. Import the first three from outside; the package imports
:mod:`producers.source` and :mod:`ims`.
"""
