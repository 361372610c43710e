"""The demo: a synthetic school owner, the three real processes on this machine, and a student who leaves.

``scenario.run`` is the demo. ``roster``, ``names`` and ``synthetic_ids`` make up the school owner, and may be imported
elsewhere too; ``stack`` starts servers and processes, ``changes`` changes the source, ``importer`` waits for deltas.
Needs the extra ``local``.
"""
