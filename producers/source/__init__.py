"""The source PostgreSQL: its sessions, replication protocol, catalog and set-up.

``sessions`` connects; ``replication`` and ``pgoutput`` read the write-ahead log; ``catalog``, ``source_schema``,
``captured_table``, ``table_rows`` and ``row_values`` know the captured tables; ``preflight`` and ``source_setup`` check
and prepare them. Imports :mod:`ims` alone, and nothing here knows Kafka.
"""
