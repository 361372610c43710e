-- What was not as it should be with persons (kind 1) and groups (kind 2) that are exported all the same: ims.wording.Remark.
create table imsfeed.remark (
    target_id bigint not null references imsfeed.target on delete cascade,
    kind smallint not null,
    id bigint not null,
    remark text not null,
    since timestamptz not null,
    primary key (target_id, kind, id, remark)
);

-- Persons whose sourcedid/id changed, and in which delta it was told; by running number, never by the ids themselves.
create table imsfeed.id_change (
    target_id bigint not null references imsfeed.target on delete cascade,
    person_id bigint not null,
    seq bigint not null,
    changed_at timestamptz not null,
    primary key (target_id, person_id, seq)
);
