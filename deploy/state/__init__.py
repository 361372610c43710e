"""The state database's schema: the SQL files in ``migrations/``, and the roles of the processes in ``roles.sql``.

``migrate`` applies the migrations, and is the only module; it may be imported from anywhere in :mod:`deploy`.
"""
