"""What case workers read, in bokmål and English: the exclusion report and page, one person's status, mails, holds.

Imports every room of :mod:`ims` but ``runtime``.
"""
