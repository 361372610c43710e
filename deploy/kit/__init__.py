"""The conformance kit: the changes that an importer must handle, as change events and as the feeds that result.

``kit.write`` writes it, from the cases in ``scenario`` about the rows in ``people``. Nothing else is imported from
outside; the package uses :mod:`consumers.replay` to write the feeds.
"""
