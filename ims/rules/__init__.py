"""Who is exported, as which records, and the one first reason why not; the facts and the day are passed in.

``roster`` is the whole: what an importer should have. ``eligibility`` and ``person_eligibility`` decide, ``overrides``
lets an order win, ``person_records``, ``group_records`` and ``org_groups`` make the records, ``normalisation`` their
texts. Imports :mod:`ims.source`, :mod:`ims.targets`, :mod:`ims.xml` and what lies below them.
"""
