"""Client library of Cohear, the streaming speech transcription service."""
