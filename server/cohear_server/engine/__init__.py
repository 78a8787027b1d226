"""From a batch of audio windows to words: Whisper on CTranslate2, and the backends that run it."""
