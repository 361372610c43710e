"""An existing file of another exporter: read, matched with the facts, compared with what a target would publish.

``settings_search`` looks for the settings that change least. Imports :mod:`ims.rules`, :mod:`ims.feed` and what lies
below.
"""
