-- Sets the passwords of the source's roles from secret files; see compose.yaml.
\set ON_ERROR_STOP on
\set capture_password `cat /run/secrets/capture_password`
\set reader_password `cat /run/secrets/reader_password`
alter role imsfeed_capture password :'capture_password';
alter role imsfeed_reader password :'reader_password';
