"""Rows that are read from the tables and not from the log.

``initial_load`` reads everything from the slot's snapshot, ``owner_resync`` one owner's rows while changes go on,
``resync_requests`` keeps what has been asked for. Imports :mod:`producers.events`, :mod:`producers.source` and
:mod:`ims`.
"""
