"""What an importer must be sent next: gathered, decided (:mod:`ims.publication`) and stored.

``view`` defines the questions that a publication may ask, ``postgres_view`` answers them from the state database.
``gathering`` is the only module that asks; ``rounds`` combines gathering and deciding. ``delta`` publishes and stores
what has changed, ``urgent_delta`` removes the persons who must leave immediately, ``first_publication`` publishes
``everything``, ``plan`` shows what changed settings would do. Imports :mod:`consumers.holds` and what lies below it.
"""
