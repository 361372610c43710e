"""One importer: its settings and the file of them, its profile, the schedule of its snapshots, and its deadline.

Imports :mod:`ims.errors` and :mod:`ims.identifiers` alone.
"""
