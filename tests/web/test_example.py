"""The example of docs/browser.md, as it stands there, on a page of another host that the server allows."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from cohear_testing.fake import FakeBackend

from ..serving import serving
from .browser import Browser, tab

pytestmark = pytest.mark.asyncio(loop_scope="session")

DOCUMENT = Path(__file__).parents[2] / "docs" / "browser.md"


async def test_the_documents_example_hears_the_microphone(browser: Browser) -> None:
    (code,) = re.findall(r"^```js\n(.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        page = f'<link rel="icon" href="data:,"><script type="module">{code}</script>'
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n" + page.encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as other:
        # a secure origin, and not the server's
        elsewhere = f"http://localhost:{other.sockets[0].getsockname()[1]}"
        async with serving(FakeBackend(), allowed_origins=elsewhere) as running, tab(browser) as page:
            code = code.replace("'/web/", f"'http://{running.address}/web/")
            code = code.replace("connect({", f"connect({{ url: '{running.url}',")
            said: asyncio.Queue[str] = asyncio.Queue()
            page.on("console", lambda message: said.put_nowait(message.text))
            await page.goto(elsewhere)
            lines = [await said.get()]
            while not re.fullmatch(r"[\d.]+ w\d.*", lines[-1]):
                lines.append(await said.get())
            assert any(line.startswith("...") for line in lines), "partials come before the final"
