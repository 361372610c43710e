"""One importer: its ``target_settings``, the ``schedule`` of its snapshots, its ``importer_deadline``.

Imports :mod:`ims.identifiers`, :mod:`ims.records` and :mod:`ims.errors`.
"""
