"""OpenAI's HTTP interface for whole files: what its clients ask, and what they are answered."""
