"""From a batch of audio windows to words: models, engine, and the backends that run it."""
