"""The state database's schema: ``migrations/``, ``migrate`` that applies them, and the roles of the processes."""
