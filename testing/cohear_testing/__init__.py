"""Stand-ins for tests and benches: a backend without a model, and a clock that is simulated. Not shipped to users."""
