"""What waits for an approval, in the state database: :mod:`ims.holds` decides, this package stores.

``holds_store`` keeps the holds, ``open_holds`` lists them. Imports :mod:`consumers.database` and :mod:`ims`.
"""
