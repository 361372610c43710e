-- What time each machine that runs compact believes it is, and which clock it does not believe (ims.publication.clock).
create table imsfeed.clock (
    machine text primary key,
    believed_at timestamptz not null,
    -- local, database, source_ahead, source_behind, disagree or leap; null while the clocks agree.
    trouble text,
    trouble_since timestamptz,
    -- What the clocks said; the source's only if its heartbeats arrive.
    local_at timestamptz not null,
    database_at timestamptz not null,
    source_at timestamptz,
    -- By the state database's clock.
    seen_at timestamptz not null
);
