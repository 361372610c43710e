"""Mail to case workers: ``notices`` decides when, ``mail`` sends, ``notice_store`` sees that each is sent once.

Imports :mod:`consumers.holds` and what lies below it.
"""
