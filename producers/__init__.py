"""Capture: committed changes of the source database, published to Kafka."""
