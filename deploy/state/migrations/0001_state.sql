-- The state of imsfeed: what the source has said, how far it has been heard, and what each importer has been told.

create schema if not exists imsfeed;

-- How far each partition has been applied. next_offset is moved by compare-and-set in the transaction that applies the
-- messages before it, so that of two consumers only one can win, and nothing is applied twice or left out.
create table imsfeed.topic_partition (
    topic text not null,
    partition integer not null,
    next_offset bigint not null,
    -- Position of the last change applied: what is not after it is a duplicate.
    source_epoch bigint,
    commit_lsn numeric(20),
    ordinal bigint,
    -- Owners whose changes of a source transaction have arrived in part: nothing is published for them until the rest is here.
    open_owners bigint[] not null default '{}',
    heartbeat_at timestamptz,
    committed_at timestamptz,
    updated_at timestamptz not null default now(),
    primary key (topic, partition)
);

-- Facts: the source's rows as they are. No foreign keys: a reference may arrive before what it refers to.
-- source_epoch tells which history a row was last seen in; a completed load removes those of an older one.
create table imsfeed.owner (
    owner_id bigint primary key,
    orgnr text,
    name text not null,
    source_epoch bigint not null
);

create table imsfeed.school (
    owner_id bigint not null,
    id bigint not null,
    school_no text,
    orgnr text,
    name text not null,
    source_epoch bigint not null,
    primary key (owner_id, id)
);

create table imsfeed.person (
    owner_id bigint not null,
    id bigint not null,
    national_id text,
    given_name text not null,
    family_name text not null,
    birth_date date,
    email text,
    mobile text,
    feide_name text,
    protected boolean not null,
    source_epoch bigint not null,
    primary key (owner_id, id)
);
-- Two persons with one national id would be told as one: whoever shares it is looked at together.
create index person_national_id on imsfeed.person (owner_id, regexp_replace(national_id, '\D', '', 'g'))
    where national_id is not null;

create table imsfeed.employee (
    owner_id bigint not null,
    id bigint not null,
    person_id bigint not null,
    school_id bigint not null,
    kind text not null,
    active boolean not null,
    source_epoch bigint not null,
    primary key (owner_id, id)
);
create index employee_person on imsfeed.employee (owner_id, person_id);
create index employee_school on imsfeed.employee (owner_id, school_id);

create table imsfeed.course_group (
    owner_id bigint not null,
    id bigint not null,
    school_id bigint not null,
    code text not null,
    name text not null,
    programme text not null,
    kind text not null,
    starts_on date,
    ends_on date,
    active boolean not null,
    source_epoch bigint not null,
    primary key (owner_id, id)
);
create index course_group_school on imsfeed.course_group (owner_id, school_id);
create index course_group_starts on imsfeed.course_group (owner_id, starts_on);
create index course_group_ends on imsfeed.course_group (owner_id, ends_on);

create table imsfeed.enrolment (
    owner_id bigint not null,
    id bigint not null,
    person_id bigint not null,
    group_id bigint not null,
    role text not null,
    starts_on date not null,
    ends_on date,
    status text not null,
    source_epoch bigint not null,
    primary key (owner_id, id)
);
create index enrolment_person on imsfeed.enrolment (owner_id, person_id);
create index enrolment_group on imsfeed.enrolment (owner_id, group_id);
create index enrolment_starts on imsfeed.enrolment (owner_id, starts_on);
create index enrolment_ends on imsfeed.enrolment (owner_id, ends_on);

-- What may have changed and for whom: append-only, read by each target from its own mark on, removed when all have passed.
-- All rows of one owner come through one partition, whose row above is locked first: mark_id is in commit order per owner.
create table imsfeed.mark (
    mark_id bigint generated always as identity primary key,
    owner_id bigint not null,
    kind text not null check (kind in ('owner', 'school', 'person', 'group')),
    id bigint not null,
    committed_at timestamptz,
    marked_at timestamptz not null default clock_timestamp()
);
create index mark_owner on imsfeed.mark (owner_id, mark_id);

-- Messages that can never be applied, kept whole until somebody has looked.
create table imsfeed.quarantine (
    topic text not null,
    partition integer not null,
    message_offset bigint not null,
    message_key bytea,
    message_value bytea,
    reason text not null,
    detail text not null,
    quarantined_at timestamptz not null default now(),
    primary key (topic, partition, message_offset)
);

-- One importer of one owner: its settings, and where its feed stands.
create table imsfeed.target (
    target_id bigint generated always as identity primary key,
    owner_id bigint not null,
    name text not null,
    settings jsonb not null,
    -- The settings have changed since the last cut: everything is compared anew.
    recompute boolean not null default true,
    epoch text not null default substr(md5(random()::text), 1, 8),
    -- Set at the first publication, and the folder's name from then on.
    orgnr text,
    -- sourcedid/source as of the last cut: what the published fragments carry.
    source text,
    -- Number, digest and time of the last delta; null until the first publication, which is sequence 0.
    head_seq bigint,
    head_sha256 text,
    head_at timestamptz,
    -- Marks up to here are told, dates up to here are counted.
    marks_through bigint not null default 0,
    dated_through date,
    -- Local date of the last snapshot taken at its hour.
    snapshot_through date,
    unique (owner_id, name)
);

create table imsfeed.target_audit (
    audit_id bigint generated always as identity primary key,
    changed_at timestamptz not null default now(),
    changed_by text not null,
    owner_id bigint not null,
    name text not null,
    setting text not null,
    old_value jsonb,
    new_value jsonb
);

-- What a target's importer has been told, as the XML fragment it was told in.
-- kind: 1 person, 2 group, 3 membership; id and member as in ims.records.RecordKey; collated so that order is bytes' order.
create table imsfeed.published (
    target_id bigint not null references imsfeed.target on delete cascade,
    kind smallint not null,
    id text collate "C" not null,
    member text collate "C" not null default '',
    person_id bigint,
    group_id bigint,
    xml text not null,
    primary key (target_id, kind, id, member)
);
create index published_person on imsfeed.published (target_id, person_id) where person_id is not null;
create index published_group on imsfeed.published (target_id, group_id) where group_id is not null;

-- Persons (kind 1) and groups (kind 2) that are not exported to a target, each with its one first reason.
create table imsfeed.left_out (
    target_id bigint not null references imsfeed.target on delete cascade,
    kind smallint not null,
    id bigint not null,
    reason text not null,
    since timestamptz not null,
    primary key (target_id, kind, id)
);
create index left_out_duplicate on imsfeed.left_out (target_id, kind, id) where reason = 'duplicate_id';

-- Deltas with their bytes: after a crash between commit and file the same bytes are written again.
create table imsfeed.delta (
    target_id bigint not null references imsfeed.target on delete cascade,
    seq bigint not null,
    sha256 text not null,
    prev_sha256 text not null,
    size bigint not null,
    counts jsonb not null,
    created_at timestamptz not null,
    oldest_event_at timestamptz,
    xml bytea not null,
    linked_at timestamptz,
    primary key (target_id, seq)
);
create index delta_unlinked on imsfeed.delta (target_id, seq) where linked_at is null;

create table imsfeed.snapshot (
    target_id bigint not null references imsfeed.target on delete cascade,
    path text not null,
    seq bigint not null,
    local_date date not null,
    sha256 text not null,
    size bigint not null,
    counts jsonb not null,
    created_at timestamptz not null,
    primary key (target_id, path)
);
