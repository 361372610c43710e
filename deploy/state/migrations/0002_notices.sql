-- What case workers have been told by mail, so that several compactors, or one that is restarted, tell it once.

-- A target fails from the first failure that is seen until none has been seen for a while.
create table imsfeed.failure (
    failure_id bigint generated always as identity primary key,
    target_id bigint not null references imsfeed.target on delete cascade,
    kinds text[] not null,
    began_at timestamptz not null,
    seen_at timestamptz not null,
    ended_at timestamptz
);
create unique index failure_open on imsfeed.failure (target_id) where ended_at is null;

-- One mail. subject: the local day of a daily mail, else the failure's number.
-- Whoever sets claimed_at sends it, and sets it back to null if the mail server did not take it.
create table imsfeed.notice (
    target_id bigint not null references imsfeed.target on delete cascade,
    kind text not null check (kind in ('daily', 'failure', 'over')),
    subject text not null,
    claimed_at timestamptz,
    sent_at timestamptz,
    primary key (target_id, kind, subject)
);
