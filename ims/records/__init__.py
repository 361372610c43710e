"""Persons, groups and memberships in the terms of IMS Enterprise: ``model``, ``vocabulary``, and clean ``text``.

``invisible`` removes the characters that no reader sees. Imports nothing else of imsfeed.
"""
