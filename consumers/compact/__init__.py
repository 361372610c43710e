"""The process that publishes the state database as files: ``process`` is the loop.

``target_update`` does what is due for one target, ``target_errors`` keeps its errors from the others, ``timing`` says
when the next step is due, ``full_files`` writes the large files beside the loop, ``clean_up`` deletes what has expired,
``gauges`` counts for the metrics, ``deadline_margin`` measures the time left before the importers read. May import
every folder of :mod:`consumers` except ``operations``.
"""
