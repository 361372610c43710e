"""What case workers read, in bokmål and English: the exclusion report and page, one person's status, mails, holds.

Pure: each text is made of figures that the caller has read. Imports :mod:`ims.feed`, :mod:`ims.holds`,
:mod:`ims.rules` and what lies below them.
"""
