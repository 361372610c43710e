"""The capture process: streams from the replication slot to Kafka, and confirms to the slot what Kafka has.

``process`` is the entry point and the loop, ``stream`` handles one replication stream, ``heartbeat`` writes the rows
that distinguish an idle path from a stuck one, ``confirmation`` decides how far the slot may be confirmed. Import
``process`` from outside; the package may import every other package of :mod:`producers`.
"""
