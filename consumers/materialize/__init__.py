"""The process that applies Kafka's change events to the facts in the state database: ``process`` is the loop.

``kafka_source`` reads messages, and ``consumer_group`` learns from Kafka which partitions this process reads. ``batch``
interprets messages, ``apply`` and ``facts_store`` write the result, with the SQL of ``fact_tables``. ``quarantine`` and
``quarantine_store`` keep the messages that cannot be applied, and ``restricted_rows`` what is obeyed of them;
``row_state`` is one message and one row; ``unresolved_references`` counts references to rows that have not arrived.
Imports :mod:`consumers.database` and :mod:`ims`.
"""
