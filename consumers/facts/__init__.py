"""What has changed for a target, and the facts that it affects.

``pending_changes`` decides what is settled, ``facts_reader`` reads, ``suppressions`` knows who is never exported.
Imports :mod:`consumers.database` and :mod:`ims`.
"""
