"""Who is exported, as which records, and the one first reason for each exclusion; facts and day are passed in.

``roster`` puts it together: the records that an importer should have. ``eligibility`` and ``person_eligibility``
decide, ``overrides`` lets an operator's order win, ``person_records``, ``group_records`` and ``org_groups`` make the
records, ``normalisation`` makes their texts. Imports :mod:`ims.source`, :mod:`ims.targets` and what lies below them.
"""
