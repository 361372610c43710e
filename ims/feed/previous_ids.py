"""The previous id of a person, published beside the new one (PIFU-IMS: ``sourcedidtype`` New and Old).

If a person's id changes, the old record is removed and a new one added (:mod:`ims.feed.delta`). By the old id in the
new record an importer recognises the person, and keeps the account. The old id is in the delta and in every snapshot
from then on: an importer may read full files only, and the feed does not learn when an importer has read one.

>>> from ims.records.model import PersonRecord
>>> anna = PersonRecord("imsfeed@100000008", "01810012345", None, "Anna", "Li", None, ())
>>> with_old_ids({}, {anna.key: anna}, {"01810012345": "1001"})[anna.key].old_id
'1001'
"""

from collections.abc import Mapping

import msgspec

from ims.identifiers.national_id import NationalId, kind_of
from ims.records.model import PersonRecord, Record, RecordKey
from ims.records.vocabulary import RecordKind
from ims.xml.reader import read_fragment


def former_ids(published: Mapping[int, str], current: Mapping[int, str]) -> dict[str, str]:
    """Return the old id by the new id, for the persons whose current id differs from the published one.

    Args:
        published: the published ``sourcedid/id`` by the person's running number.
        current: the current one, likewise.

    >>> former_ids({7: "1001", 8: "1002"}, {7: "01810012345", 8: "1002", 9: "1003"})
    {'01810012345': '1001'}
    """
    return {id_: published[number] for number, id_ in current.items() if published.get(number, id_) != id_}


def with_old_ids(
    published: Mapping[RecordKey, str],
    current: Mapping[RecordKey, Record],
    former: Mapping[str, str],
    *,
    national_ids: bool = True,
) -> dict[RecordKey, Record]:
    """Return the current records, with the previous id in the record of each person whose id has changed.

    If an id has changed twice, only the last previous id is published. An old id that is another person's current id
    is no longer published: an importer would take the two for one person, and give each the other's access.

    Args:
        published: as for :func:`ims.feed.delta.between`.
        current: likewise.
        former: the old id by the new id, for the ids that change now (:func:`former_ids`).
        national_ids: whether an old id may be a national id. If a target is to have none, it is in no record any more:
            an importer recognises the person by ``personLIN`` and the Feide name instead.

    Raises:
        FeedError: a published text cannot be read.
    """
    with_old = {key: _with_old_id(record, published.get(key), former, current) for key, record in current.items()}
    return with_old if national_ids else {key: _without_national_id(record) for key, record in with_old.items()}


def _with_old_id(
    record: Record, published: str | None, former: Mapping[str, str], current: Mapping[RecordKey, Record]
) -> Record:
    if not isinstance(record, PersonRecord):
        return record
    old_id = former.get(record.id) or _published_old_id(record.key, published)
    if old_id is None or RecordKey(RecordKind.PERSON, old_id) in current:
        return record
    return msgspec.structs.replace(record, old_id=old_id)


def _without_national_id(record: Record) -> Record:
    if not isinstance(record, PersonRecord) or record.old_id is None:
        return record
    national = kind_of(NationalId(record.old_id), allow_test_numbers=True, duf_check=False) is not None
    return msgspec.structs.replace(record, old_id=None) if national else record


def _published_old_id(key: RecordKey, published: str | None) -> str | None:
    # Parsing is slow, and few persons have an old id.
    if published is None or 'sourcedidtype="Old"' not in published:
        return None
    record = read_fragment(key, published)
    return record.old_id if isinstance(record, PersonRecord) else None
