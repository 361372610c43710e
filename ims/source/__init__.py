"""What the administration system says: ``events`` (Debezium's envelope), ``mapping``, ``column_values`` and ``facts``.

Imports :mod:`ims.identifiers`, :mod:`ims.records` and :mod:`ims.errors`.
"""
