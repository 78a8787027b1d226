"""The laboratory, which works offline: profiles are made, settings are tried, models are scored."""
