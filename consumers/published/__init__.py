"""What each importer has been sent, record by record, and the files that say so.

``published_store`` has the records and whom they are about, ``exclusions_store`` who was excluded; ``snapshot_rows``
and ``tombstones`` have what a full file holds, ``recorded_files`` the deltas and snapshots themselves. Imports
:mod:`consumers.database` and :mod:`ims`.
"""
