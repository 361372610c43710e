"""Persons, groups and memberships in the words of IMS Enterprise: ``model``, ``vocabulary``, and clean ``text``.

Imports nothing but :mod:`ims.errors`.
"""
