-- Records that are gone, as they were told to be gone: for importers that read one full file and never infer a leave from
-- absence. Kept only for targets whose export_shape is "tombstones", for 30 days.
create table imsfeed.tombstone (
    target_id bigint not null references imsfeed.target on delete cascade,
    kind smallint not null,
    id text collate "C" not null,
    member text collate "C" not null default '',
    xml text not null,
    gone_at timestamptz not null,
    primary key (target_id, kind, id, member)
);
