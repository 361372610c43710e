"""Mails to case workers: ``notices`` decides which are due, ``mail`` sends, ``notice_store`` lets each be sent once.

Imports :mod:`consumers.holds` and what lies below it.
"""
