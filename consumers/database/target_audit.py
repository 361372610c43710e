"""The audit of the targets' settings: who changed what, and when. Rows are only ever added."""

import msgspec
from psycopg.types.json import Jsonb

from consumers.database.audit_text import audit_text
from consumers.database.sessions import Connection
from ims.targets.target_settings import TargetSettings


def note_change(connection: Connection, old: TargetSettings | None, new: TargetSettings, changed_by: str) -> None:
    """Record which settings of a target have changed; *old* is ``None`` if it had none, or none that can be read."""
    before = {} if old is None else msgspec.to_builtins(old)
    after = msgspec.to_builtins(new)
    keys = [key for key, value in after.items() if old is None or before.get(key) != value]
    connection.execute(
        "insert into imsfeed.target_audit (changed_by, owner_id, name, setting, old_value, new_value)"
        " select %s, %s, %s, * from unnest(%s::text[], %s::jsonb[], %s::jsonb[])",
        (
            audit_text(changed_by, "the name of the user"),
            new.owner,
            new.name,
            keys,
            [Jsonb(before.get(key)) for key in keys],
            [Jsonb(after[key]) for key in keys],
        ),
    )
