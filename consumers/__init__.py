"""Materialize: Kafka to the state database. Compact: the state database to the feed's files."""
