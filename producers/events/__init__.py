"""Changes of the source as Kafka messages, and the producer that sends them.

``change_events`` turns changes into events, ``ordered_events`` numbers them within their transaction, ``publisher``
sends them through ``batched_producer``, without the largest texts of a row that is too large (``oversized_rows``), and
``topic`` creates or checks the topic. Import all but ``batched_producer`` from outside; the package imports
:mod:`producers.source` and :mod:`ims`.
"""
