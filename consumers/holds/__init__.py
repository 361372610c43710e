"""What waits for an approval, in the state database: :mod:`ims.holds` decides, this room stores.

``hold_gate`` is what a publication passes through, ``holds_store`` and ``open_holds`` keep and list the holds. Imports
:mod:`consumers.published`, :mod:`consumers.facts`, :mod:`consumers.database` and :mod:`ims`.
"""
