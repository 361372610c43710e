"""The nightly reconciliation: ``run`` reconciles one target, ``nightly`` each target at its hour.

``files``, ``rules`` and ``facts`` are its three checks; ``source_reader`` reads the source, ``results_store`` keeps the
results. Imports :mod:`consumers.feed` and what lies below it.
"""
