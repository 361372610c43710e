"""What an importer must be sent next: gathered, decided (:mod:`ims.publication`) and stored.

``view`` says what a publication may ask, ``postgres_view`` answers from the state database. ``gathering`` is the only
place that asks, ``rounds`` puts gathering and deciding together, ``storing`` stores. ``delta`` and ``urgent_delta``
publish changes, ``first_publication`` publishes ``everything``, ``plan`` shows what changed settings would do;
``delta_files`` makes the bytes. Imports :mod:`consumers.holds` and what lies below it.
"""
