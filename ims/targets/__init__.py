"""One importer: its ``target_settings``, the ``schedule`` of its snapshots, its ``importer_deadline``.

Imports :mod:`ims.errors` alone.
"""
