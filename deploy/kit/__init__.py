"""The conformance kit: a made-up owner to whom everything happens, as events and as the feeds that come of it."""
