"""Fakes for tests and benchmarks: a backend without a model, and a simulated clock. Not shipped to users."""
