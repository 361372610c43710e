"""The process from Kafka to the state database: ``process`` is the loop.

``kafka_source`` reads, ``batch`` works out what a batch says, ``apply`` and ``facts_store`` write it, ``fact_tables``
is its SQL; ``quarantine`` and ``quarantine_store`` keep what cannot be applied; ``leases`` and ``partition_assignment``
share the partitions; ``unresolved_references`` counts what has not arrived. Imports :mod:`consumers.database` and
:mod:`ims`.
"""
