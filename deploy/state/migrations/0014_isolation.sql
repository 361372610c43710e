-- One target's trouble is that target's.

-- Why a part of a target's work fails now. A row is removed once that part has succeeded.
create table imsfeed.target_error (
    target_id bigint not null references imsfeed.target on delete cascade,
    part text not null,
    error text not null,
    since timestamptz not null,
    tried_at timestamptz not null,
    attempts bigint not null,
    primary key (target_id, part)
);

-- Whose each folder of the feed is, for good: that of the target that was published in it first.
create table imsfeed.feed_folder (
    orgnr text not null,
    name text not null,
    target_id bigint not null references imsfeed.target on delete cascade,
    primary key (orgnr, name)
);
insert into imsfeed.feed_folder (orgnr, name, target_id)
select distinct on (orgnr, name) orgnr, name, target_id from imsfeed.target
 where orgnr is not null and head_seq is not null
 order by orgnr, name, announced_at nulls last, target_id;
