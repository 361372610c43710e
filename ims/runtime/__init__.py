"""What every process needs to run: settings, logs, metrics, probes, retries, Kafka's connection, and a clean stop.

Everything else in :mod:`ims` is pure; here are the edges to the machine. Knows nothing of persons or groups.
:mod:`ims.runtime.supervisor` runs several processes as one. Imports :mod:`ims.source` for the mapping file, and
:mod:`ims.errors`.
"""
