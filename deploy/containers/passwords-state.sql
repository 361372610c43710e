-- Sets the passwords of the state database's roles from secret files; see compose.yaml.
\set ON_ERROR_STOP on
\set materialize_password `cat /run/secrets/materialize_password`
\set compact_password `cat /run/secrets/compact_password`
alter role imsfeed_materialize password :'materialize_password';
alter role imsfeed_compact password :'compact_password';
