"""The process from Kafka to the state database: ``process`` is the loop.

``kafka_source`` reads, and ``consumer_group`` hears from Kafka which partitions are this process's to read; ``batch``
works out what a batch says, ``apply`` and ``facts_store`` write it, ``fact_tables`` is its SQL; ``quarantine`` and
``quarantine_store`` keep what cannot be applied; ``unresolved_references`` counts what has not arrived. Imports
:mod:`consumers.database` and :mod:`ims`.
"""
