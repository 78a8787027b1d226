"""OpenAI's Realtime API for transcription: `/v1/realtime`, in its present and its beta shapes."""
