-- Importers' profiles.

-- A key whose default is the importer's is stored only where an operator has written it. Of the settings that are there,
-- it is not known whether a default was written; it is taken as not written, and its value stays the same.
with standard (key, value) as (
    values ('org_groups', 'false'::jsonb), ('include_without_national_id', 'false'), ('person_id', '"national"'),
           ('login', '"feide"'), ('dialect', '"ims"'), ('spell_out_markup', 'false'), ('export_shape', '"absent"')
)
update imsfeed.target t
   set settings = t.settings - array(select s.key from standard s where t.settings -> s.key = s.value);

-- Groups that are no longer published, without a record that removes them (the manifest's closed_groups).
alter table imsfeed.delta add column closed_groups text[] not null default '{}';
