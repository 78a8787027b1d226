"""Server of Cohear: sessions, scheduler, engine and the sockets around them."""

import os

# nothing phones home: libraries that would read these when they are imported, which is after this
os.environ["ORT_DISABLE_TELEMETRY"] = os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
