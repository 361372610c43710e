"""One importer: its profile, the ``target_settings``, the ``schedule`` of its snapshots, the ``importer_deadline``.

Imports :mod:`ims.errors` alone.
"""
