"""What the administration system says: events, the mapping of its rows, and the facts.

``events`` is Debezium's envelope. ``facts`` and ``columns`` define the facts, ``words`` the words that decide, and
``column_values`` reads one value. ``mapping`` turns a row of the source into a change of facts, by what
``mapping_definition`` has read from a mapping file and with ``mapped_values``. ``restrictions`` is what a row takes
away that cannot be read whole. The package imports :mod:`ims.identifiers` and :mod:`ims.errors`.
"""
