"""A file to text by OpenAI's library: `pip install openai`, then `python openai_files.py talk.mp3`.

OPENAI_BASE_URL is the server, such as http://127.0.0.1:8765/v1; OPENAI_API_KEY is a key of it, or anything where it
asks for none.
"""

import sys

from openai import OpenAI

client = OpenAI()

# all at once, with the times of words
told = client.audio.transcriptions.create(
    file=open(sys.argv[1], "rb"),  # noqa: SIM115
    model="whisper-1",
    response_format="verbose_json",
    timestamp_granularities=["word"],
)
for word in told.words or []:
    print(f"{word.start:7.2f}  {word.word}")

# as it is heard
with open(sys.argv[1], "rb") as file:
    for event in client.audio.transcriptions.create(file=file, model="whisper-1", stream=True):
        if event.type == "transcript.text.delta":
            print(event.delta, end="", flush=True)
print()
