"""Persons, groups and memberships in the terms of IMS Enterprise: ``model``, ``vocabulary``, and clean ``text``.

Imports nothing else of imsfeed.
"""
