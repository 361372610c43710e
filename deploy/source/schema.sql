-- The reference source schema: what imsfeed expects of an administration system; the demo and the tests use it.
-- A mapping file describes a source with other tables or columns. Every table has owner_id, which decides the Kafka
-- partition, and has it in the primary key, so that a delete names the owner. All dates are Norwegian dates, both ends
-- inclusive.

create table owner (
    owner_id integer primary key,
    orgnr text,
    name text not null
);

create table school (
    owner_id integer not null,
    id bigint not null,
    school_no text,
    orgnr text,
    name text not null,
    primary key (owner_id, id)
);

create table person (
    owner_id integer not null,
    id bigint not null, -- the running number (løpenummer)
    national_id text,
    given_name text not null,
    family_name text not null,
    birth_date date,
    email text,
    mobile text,
    feide_name text,
    protected boolean not null default false,
    primary key (owner_id, id)
);

create table employee (
    owner_id integer not null,
    id bigint not null,
    person_id bigint not null,
    school_id bigint not null,
    kind text not null, -- teacher, case_worker, other; any other word is quarantined: docs/mapping.md
    active boolean not null default true,
    primary key (owner_id, id)
);

create table course_group (
    owner_id integer not null,
    id bigint not null,
    school_id bigint not null,
    code text not null,
    name text not null,
    programme text not null, -- grunnskole, norsk, videregaende, annet; any other word is quarantined
    kind text not null, -- class, subject ...
    starts_on date,
    ends_on date,
    active boolean not null default true,
    primary key (owner_id, id)
);

create table enrolment (
    owner_id integer not null,
    id bigint not null,
    person_id bigint not null,
    group_id bigint not null,
    role text not null, -- learner, teacher; any other word is quarantined
    starts_on date not null,
    ends_on date,
    status text not null default 'active', -- or a word for one that does not count, such as ended: docs/mapping.md
    primary key (owner_id, id)
);
