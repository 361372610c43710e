"""What an importer must be sent next: gathered, decided (:mod:`ims.publication`) and stored.

``view`` says what a publication may ask, ``postgres_view`` answers from the state database. ``gathering`` is the only
place that asks, ``rounds`` puts gathering and deciding together. ``delta`` publishes and stores what has changed,
``urgent_delta`` the persons who must leave immediately, ``first_publication`` publishes ``everything``, ``plan`` shows
what changed settings would do. Imports :mod:`consumers.holds` and what lies below it.
"""
