"""The source PostgreSQL: its sessions, replication protocol, catalog and set-up.

``sessions`` connects; ``replication`` and ``pgoutput`` read the write-ahead log; ``catalog``, ``source_schema``,
``captured_table``, ``table_rows`` and ``row_values`` describe and read the captured tables; ``preflight`` checks the
source and ``source_setup`` prepares it. Any of them may be imported; the package imports :mod:`ims` alone, and knows
nothing of Kafka.
"""
