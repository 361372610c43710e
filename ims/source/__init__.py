"""What the administration system says: ``events`` (Debezium's envelope), ``mapping``, ``column_values`` and ``facts``.

Imports :mod:`ims.identifiers` and :mod:`ims.errors`.
"""
