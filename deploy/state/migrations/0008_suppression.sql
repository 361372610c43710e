-- Persons who must be gone before the source says so: told to leave, until the source agrees, or suppressed, until that is
-- taken back. By running number, and also for persons who have not arrived.
create table imsfeed.suppression (
    suppression_id bigint generated always as identity primary key,
    owner_id bigint not null,
    person_id bigint not null,
    kind text not null check (kind in ('leave_now', 'suppressed')),
    since timestamptz not null default now(),
    ordered_by text not null,
    -- Whether the person had arrived when it was ordered: if so, and there is no such person now, the source has agreed.
    known boolean not null,
    ended_at timestamptz
);
create unique index suppression_in_force on imsfeed.suppression (owner_id, person_id, kind) where ended_at is null;

-- Who has ordered what and why; and that an order has ended because the source agreed.
create table imsfeed.suppression_audit (
    audit_id bigint generated always as identity primary key,
    audited_at timestamptz not null default now(),
    who text not null,
    action text not null check (action in ('leave_now', 'leave_now_undone', 'leave_now_ended', 'suppressed', 'suppressed_undone')),
    reason text not null,
    owner_id bigint not null,
    person_id bigint not null
);
create function imsfeed.refuse_change() returns trigger language plpgsql as
    $$ begin raise exception '% is append-only', tg_table_name; end $$;
create trigger suppression_audit_is_append_only before update or delete on imsfeed.suppression_audit
    for each row execute function imsfeed.refuse_change();

-- At whom the target's next cut looks whatever else is pending, settled or not. Unlike a mark it needs no number in the
-- order of commits: the cut that has looked removes the very rows that it has seen.
create table imsfeed.urgent_mark (
    urgent_mark_id bigint generated always as identity primary key,
    target_id bigint not null references imsfeed.target on delete cascade,
    person_id bigint not null
);
create index urgent_mark_target on imsfeed.urgent_mark (target_id);
