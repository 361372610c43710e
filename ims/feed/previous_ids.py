"""A person's previous id, published together with the new one (PIFU-IMS: ``sourcedidtype`` New and Old).

A person whose id changes is one record removed and another added (:mod:`ims.feed.delta`). The old id in the new record
shows an importer that it is the same person, whose account it can keep. The old id is published in the delta and in
every snapshot from then on, because an importer may read snapshots only, and imsfeed does not know when it reads one.

>>> from ims.records.model import PersonRecord
>>> anna = PersonRecord("imsfeed@100000008", "01810012345", None, "Anna", "Li", None, ())
>>> with_old_ids({}, {anna.key: anna}, {"01810012345": "1001"})[anna.key].old_id
'1001'
"""

from collections.abc import Mapping

import msgspec

from ims.records.model import PersonRecord, Record, RecordKey
from ims.records.vocabulary import RecordKind
from ims.xml.reader import read_fragment


def former_ids(published: Mapping[int, str], current: Mapping[int, str]) -> dict[str, str]:
    """Return new id to old id, for the persons whose current id is not the published one.

    Args:
        published: the published ``sourcedid/id``, by the person's running number.
        current: the current one, likewise.

    >>> former_ids({7: "1001", 8: "1002"}, {7: "01810012345", 8: "1002", 9: "1003"})
    {'01810012345': '1001'}
    """
    return {id_: published[number] for number, id_ in current.items() if published.get(number, id_) != id_}


def with_old_ids(
    published: Mapping[RecordKey, str], current: Mapping[RecordKey, Record], former: Mapping[str, str]
) -> dict[RecordKey, Record]:
    """Return the current records; a person whose id has changed has the old id as well.

    If the id has changed twice, only the last id before the current one is published. An old id that is now another
    person's id is not published: an importer would take the two for one person, and give each the other's access.

    Args:
        published: as for :func:`ims.feed.delta.between`.
        current: likewise.
        former: new id to old id, for the ids that change now (:func:`former_ids`).

    Raises:
        FeedError: a published text cannot be read.
    """
    return {key: _with_old_id(record, published.get(key), former, current) for key, record in current.items()}


def _with_old_id(
    record: Record, published: str | None, former: Mapping[str, str], current: Mapping[RecordKey, Record]
) -> Record:
    if not isinstance(record, PersonRecord):
        return record
    old_id = former.get(record.id) or _published_old_id(record.key, published)
    if old_id is None or RecordKey(RecordKind.PERSON, old_id) in current:
        return record
    return msgspec.structs.replace(record, old_id=old_id)


def _published_old_id(key: RecordKey, published: str | None) -> str | None:
    # Reading a text is slow, and few persons have an old id.
    if published is None or 'sourcedidtype="Old"' not in published:
        return None
    record = read_fragment(key, published)
    return record.old_id if isinstance(record, PersonRecord) else None
