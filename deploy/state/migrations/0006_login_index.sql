-- Finds who else is told with a login: whoever is gone must not be told with a login that somebody has.
create index published_login on imsfeed.published (target_id, lower(substring(xml from '<userid[^>]*>([^<]*)</userid>')))
    where kind = 1;
