-- So that a cut costs what it tells, and not what was ever told. Each index holds few rows of very many.

-- A partial index tells the planner nothing of what its expression is like; without that it takes any hundred of a
-- million national ids for half of them, and reads all.
create statistics imsfeed.person_national_id_digits on (regexp_replace(national_id, '\D', '', 'g')) from imsfeed.person;
create statistics imsfeed.published_login_text on (lower(substring(xml from '<userid[^>]*>([^<]*)</userid>')))
    from imsfeed.published;

-- The groups of the owner and its schools, which every cut compares.
create index published_org_group on imsfeed.published (target_id) where kind = 2 and group_id is null;

-- Persons told with the id that they had before (PIFU-IMS).
create index published_old_id on imsfeed.published
    (target_id, substring(xml from 'sourcedidtype="Old".*?<id>([^<]*)</id>'))
    where kind = 1 and xml like '%sourcedidtype="Old"%';

-- Persons told as teachers, as consumers.holds_store counts them.
create index published_teacher on imsfeed.published (target_id, (case kind when 1 then id else member end))
    where (kind = 1 and xml like '%institutionroletype="Staff"%') or (kind = 3 and xml like '%roletype="02"%');

analyze imsfeed.person, imsfeed.published;
