"""What has changed for a target, and the facts that it affects.

``pending_changes`` decides what has settled, ``facts_reader`` reads, ``suppressions`` has the orders of persons.
Imports :mod:`consumers.database` and :mod:`ims`.
"""
