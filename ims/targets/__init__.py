"""One importer: ``importer_profiles``, its ``target_settings``, the ``schedule`` of its snapshots, ``importer_deadline``.

Imports :mod:`ims.errors` alone.
"""
