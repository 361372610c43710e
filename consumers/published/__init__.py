"""What has been published to each target, record by record, and the files in which it was published.

``published_store`` keeps the records and their subjects, ``exclusions_store`` the exclusions; ``snapshot_rows`` and
``tombstones`` read the content of full files, ``recorded_files`` the deltas and snapshots themselves. Imports
:mod:`consumers.database` and :mod:`ims`.
"""
