"""The importers as they behave: what one of them ends with that has read a feed, and what of it is wrong.

``instructions`` reads files as importers do, ``models`` are the importers, by their profiles, and ``play`` lets one of
them read a feed and compares. Imports :mod:`ims.feed` and what lies below it.
"""
