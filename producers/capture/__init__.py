"""The process that streams: ``process`` is the loop from the slot to Kafka and back to the slot.

``stream`` reads transactions, ``heartbeat`` writes the rows that tell idle from stuck, ``confirmation`` decides how far
the slot may be confirmed. May import every room of :mod:`producers`.
"""
