"""What any process here needs in order to live: settings, logs, metrics, retries, and a clean stop."""
