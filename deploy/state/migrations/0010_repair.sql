-- What is needed to set right what no process may decide by itself.

-- Kafka's own id of the topic that the offsets belong to. next_offset is null once it was forgotten on purpose, until the
-- partition is begun anew; the position of the last change stays, so that what was applied is not applied twice.
alter table imsfeed.topic_partition add column topic_id uuid;
alter table imsfeed.topic_partition alter column next_offset drop not null;

-- A number names a message in quarantine, since the offsets of a topic that was created anew begin again. In the order
-- of the numbers is the order in which a partition's messages arrived.
-- healed_at: the row that the message was about has been written since, by a later message or a load.
alter table imsfeed.quarantine drop constraint quarantine_pkey;
alter table imsfeed.quarantine add column quarantine_id bigint generated always as identity primary key;
alter table imsfeed.quarantine add column healed_at timestamptz;
create index quarantine_waiting on imsfeed.quarantine (topic, partition) where healed_at is null;
-- A hash, because a key that nobody has checked may be longer than a B-tree takes.
create index quarantine_key on imsfeed.quarantine using hash (message_key) where healed_at is null;

-- What has become of messages that have left quarantine: append-only, and without what they said.
create table imsfeed.quarantine_audit (
    audit_id bigint generated always as identity primary key,
    done_at timestamptz not null default now(),
    done_by text not null,
    action text not null check (action in ('replayed', 'discarded')),
    explanation text,
    quarantine_id bigint not null,
    topic text not null,
    partition integer not null,
    message_offset bigint not null,
    reason text not null,
    detail text not null,
    quarantined_at timestamptz not null,
    healed_at timestamptz
);

-- epoch_seq: the number of the first snapshot of the target's epoch; what has a smaller one belongs to an older epoch.
-- announced_at: when the first manifest of the present files was written: from then on a folder without one is lost.
-- standstill: why nothing is written to the feed until a person has looked: consumers.standstill.Standstill.
-- exported_seq: the sequence number that the file at the fixed path shows.
alter table imsfeed.target add column epoch_seq bigint not null default 0;
alter table imsfeed.target add column announced_at timestamptz;
alter table imsfeed.target add column standstill text;
alter table imsfeed.target add column exported_seq bigint;
update imsfeed.target t set announced_at = now() where exists
    (select from imsfeed.delta d where d.target_id = t.target_id and d.linked_at is not null);

-- Epochs that a target has had before: a manifest of one of them may be replaced.
create table imsfeed.former_epoch (
    target_id bigint not null references imsfeed.target on delete cascade,
    epoch text not null,
    ended_at timestamptz not null,
    primary key (target_id, epoch)
);
