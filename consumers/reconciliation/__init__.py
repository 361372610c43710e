"""The nightly comparison: ``run`` does it for one target, ``nightly`` for all at their hour.

``files``, ``rules`` and ``facts`` are its three parts; ``source_reader`` reads the source, ``results_store`` keeps what
was found. Imports :mod:`consumers.feed` and what lies below it.
"""
