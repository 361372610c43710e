"""Rows that are read from the source's tables and not from its write-ahead log.

``initial_load`` reads every table from the slot's snapshot, ``owner_resync`` reads one owner's rows while changes go
on, and ``resync_requests`` stores the requests for it. Any of the three may be imported; the package imports
:mod:`producers.events`, :mod:`producers.source` and :mod:`ims`.
"""
