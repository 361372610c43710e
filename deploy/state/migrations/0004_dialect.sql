-- The dialect as of the last cut: what the published fragments are written in, whatever the settings say since.
alter table imsfeed.target add column dialect text not null default 'ims' check (dialect in ('ims', 'pifu'));
