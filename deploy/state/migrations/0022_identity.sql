-- One person, one account: who has a login, who had it, and who is published without it.

-- A national id in the form in which two are the same; null for a text that cannot be one, since schools type the same
-- text for everyone whose number they do not know. ims.identifiers.national_id.shared_number is the same in Python.
create function imsfeed.national_number(registered text) returns text
    language sql immutable strict parallel safe
    as $$
    select case
        when digits ~ '^[0-9]{11,12}$' and digits !~ '^(.)\1*$'
             and digits !~ '^(?:012345678|123456789|987654321)' then digits
    end
    from (select pg_catalog.regexp_replace(
        pg_catalog.translate(registered, '０１２３４５６７８９', '0123456789'), '[^0-9]', '', 'g') as digits) compact
    $$;

drop statistics if exists imsfeed.person_national_id_digits;
drop index if exists imsfeed.person_national_id;
create index person_national_id on imsfeed.person (owner_id, imsfeed.national_number(national_id))
    where imsfeed.national_number(national_id) is not null;

-- A running number that looks like a national id may be the id of another person.
create index person_long_id on imsfeed.person (owner_id, (id::text)) where id >= 10000000000;

-- PIFU-IMS: importers find a person by the Feide name as by the login.
create index published_feide_id on imsfeed.published
    (target_id, lower(substring(xml from '<userid useridtype="feideID">([^<]*)</userid>')))
    where kind = 1 and xml like '%useridtype="feideID"%';

-- The logins of persons who have left, whose accounts many importers keep; by SHA-256, because they are only compared.
create table imsfeed.former_login (
    target_id bigint not null references imsfeed.target on delete cascade,
    login bytea not null,
    person_id bigint not null,
    left_on date not null,
    primary key (target_id, login)
);

-- The logins that persons are published without, by SHA-256, and the person who has each; null if that person has left.
create table imsfeed.login_conflict (
    target_id bigint not null references imsfeed.target on delete cascade,
    person_id bigint not null,
    login bytea not null,
    holder_id bigint,
    primary key (target_id, person_id, login)
);
create index login_conflict_login on imsfeed.login_conflict (target_id, login);

analyze imsfeed.person, imsfeed.published;
