-- Every proof of a target: snapshot + deltas = next snapshot ('files'), what is told = the rules applied anew ('rules'),
-- the facts = the source ('source'). differences is null when it could not be looked at.
create table imsfeed.proof (
    proof_id bigint generated always as identity primary key,
    target_id bigint not null references imsfeed.target on delete cascade,
    proved_at timestamptz not null,
    checked text not null check (checked in ('files', 'rules', 'source')),
    outcome text not null check (outcome in ('ok', 'differs', 'unfinished', 'skipped')),
    differences bigint,
    -- A few of the differences, by running numbers and paths; never a personal value.
    details text[] not null default '{}',
    -- What was set going to mend it.
    repair text,
    -- 'files': path of the snapshot that is not the sum and for which a new epoch was begun.
    broken_at text
);
create index proof_target on imsfeed.proof (target_id, checked, proof_id desc);

-- repair: a proof has found differences; the next cut compares everything anew, and its delta is the repair.
-- proved_through: local date of the last scheduled snapshot after which a proof was whole and found nothing.
alter table imsfeed.target
    add column repair boolean not null default false,
    add column proved_through date;
