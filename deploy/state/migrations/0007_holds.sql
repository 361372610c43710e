-- What waits for a person's approval before an importer is told that it is gone (ims.holds.Cause says why).
create table imsfeed.hold (
    hold_id bigint generated always as identity primary key,
    target_id bigint not null references imsfeed.target on delete cascade,
    cause text not null check (
        cause in ('persons', 'teachers', 'id_changes', 'setting', 'resync', 'school_number', 'initial')
    ),
    began_at timestamptz not null,
    -- When the set of those who wait was last another one, and its digest; of a first publication it is worked out when asked for.
    changed_at timestamptz not null,
    digest text not null default '',
    -- Approved: the next cut tells it. Rejected: nobody is reminded of it any more.
    approved_at timestamptz,
    rejected_at timestamptz,
    ended_at timestamptz,
    outcome text check (outcome in ('approved', 'released'))
);
create unique index hold_open on imsfeed.hold (target_id, cause) where ended_at is null;

-- Who waits: kind 1 a person by running number, kind 2 a group's removal by the group's sourcedid/id as it was told.
-- own: not merely because of somebody else who waits. goes: what a person loses (ims.holds.Loss).
create table imsfeed.held (
    hold_id bigint not null references imsfeed.hold on delete cascade,
    kind smallint not null check (kind in (1, 2)),
    id text not null,
    own boolean not null,
    since timestamptz not null,
    goes jsonb not null,
    primary key (hold_id, kind, id)
);

-- Who has decided what: append-only.
create table imsfeed.hold_audit (
    audit_id bigint generated always as identity primary key,
    decided_at timestamptz not null,
    decided_by text not null,
    action text not null check (action in ('approved', 'rejected')),
    reason text not null,
    owner_id bigint not null,
    name text not null,
    hold_id bigint not null,
    cause text not null,
    digest text not null,
    persons bigint not null,
    groups bigint not null
);

-- Persons told to leave, or told under another id, without an approval: counted against the target's limits for a day.
create table imsfeed.departure (
    target_id bigint not null references imsfeed.target on delete cascade,
    person_id bigint not null,
    left_at timestamptz not null,
    teacher boolean not null,
    id_change boolean not null
);
create index departure_left on imsfeed.departure (target_id, left_at);

alter table imsfeed.target
    -- The settings of the last cut: what they alone take away is told apart from what the source does.
    add column cut_settings jsonb,
    -- Look at all who wait at the next cut.
    add column review boolean not null default false;
update imsfeed.target set cut_settings = settings where head_seq is not null and not recompute;

alter table imsfeed.notice drop constraint notice_kind_check;
alter table imsfeed.notice add constraint notice_kind_check check (kind in ('daily', 'failure', 'over', 'hold'));
