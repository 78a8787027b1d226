"""The page's modules by themselves, run in the browser: pure logic against Python's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from cohear_client.protocol import Final, Timing, Word
from cohear_client.subtitles import srt, vtt
from cohear_client.transcript import Transcript
from cohear_testing.fake import FakeBackend

from ..serving import serving
from .browser import Browser, Page, tab

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A page from which modules can be imported."""
    async with serving(FakeBackend()) as running, tab(browser) as page:
        await page.goto(f"http://{running.address}/")
        yield page


async def test_the_ring_holds_the_newest_samples(page: Page) -> None:
    script = """async (sizes) => {
      const { Ring } = await import('/web/ring.js');
      const ring = new Ring(100);
      let next = 0;
      return sizes.map((size) => {
        ring.push(Int16Array.from({ length: size }, () => next++ % 32768));
        if (size % 7 === 0) ring.forgetBefore(ring.end - 3);
        return [ring.start, ring.end, [...ring.read(ring.start, ring.end)]];
      });
    }"""
    sizes = [int(size) for size in np.random.default_rng(1).integers(0, 160, 200)]
    end = start = 0
    for size, (got_start, got_end, samples) in zip(sizes, await page.evaluate(script, sizes), strict=True):
        end += size
        start = max(start, end - 100, end - 3 if size % 7 == 0 else 0)
        assert (got_start, got_end) == (start, end)
        assert samples == [i % 32768 for i in range(start, end)]


@pytest.mark.parametrize("rate_hz", [48_000, 44_100, 96_000, 22_050, 8_000])
async def test_the_resampler_keeps_tones_and_stops_what_would_fold_back(page: Page, rate_hz: int) -> None:
    script = """async ({ rateHz, tonesHz }) => {
      const { Resampler } = await import('/web/resample.js');
      return tonesHz.map((toneHz) => {
        const resampler = new Resampler(rateHz, 16000);
        const out = [];
        for (let at = 0; at < rateHz / 2; at += 128) {
          const tone = (_, i) => Math.sin((2 * Math.PI * toneHz * (at + i)) / rateHz);
          out.push(...resampler.process(Float32Array.from({ length: 128 }, tone)));
        }
        return out;
      });
    }"""
    kept, folded = [200.0, 3_000.0], [9_000.0, 10_900.0] if rate_hz > 22_050 else []
    answers = await page.evaluate(script, {"rateHz": rate_hz, "tonesHz": kept + folded})
    middle = slice(400, 7_000)
    for tone_hz, out in zip(kept, answers, strict=False):
        expected = np.sin(2 * np.pi * tone_hz * np.arange(len(out)) / 16_000)
        assert len(out) == pytest.approx(8_000, abs=260)
        assert np.abs(np.array(out) - expected)[middle].max() < 0.01, "same place in time, same height"
    for out in answers[len(kept) :]:
        assert np.abs(out[middle]).max() < 10 ** (-60 / 20)


async def test_waits_grow_and_spread(page: Page) -> None:
    script = """async (random) => {
      const { backoffMs } = await import('/web/backoff.js');
      const waits = [];
      for (const wait of backoffMs(() => random)) if (waits.push(wait) === 7) return waits;
    }"""
    assert await page.evaluate(script, 0.5) == [100, 200, 500, 1000, 2000, 2000, 2000]
    assert await page.evaluate(script, 0) == [80, 160, 400, 800, 1600, 1600, 1600]
    assert await page.evaluate(script, 1) == [120, 240, 600, 1200, 2400, 2400, 2400]


async def test_the_timeline_counts_on_over_sessions_and_gaps(page: Page) -> None:
    script = """async () => {
      const { Timeline } = await import('/web/timeline.js');
      const line = new Timeline(100);
      const count = (received, silent) => ({ received, transcribed: received - silent, silent, shed: 0 });
      const final = (seq, segment_id, start_s, end_s) =>
        ({ type: 'final', seq, segment_id, start_s, end_s, words: [] });
      line.take(final(5, 1, 1, 9));
      line.beginAgain(1000); // of these, a second was lost with the connection
      line.skip(1300, 1350); // after 300 of its samples
      line.skip(1500, 1600);
      const places = [0, 299, 300, 449, 450].map((sample) => line.toStream(sample));
      const word = { text: 'a', start_s: 2, end_s: 3.5, confidence: 1 };
      const moved = line.take({ ...final(1, 0, 2, 5), words: [word] });
      const again = line.take(final(1, 0, 2, 5));
      const settled = line.settled;
      const back = line.resume(300);
      const later = line.toStream(460);
      const stats = line.take({ type: 'stats', samples: count(900, 600), settled_s: 8 });
      const done = line.take({ type: 'done', samples: count(900, 600), segments: 1 });
      return { places, moved, again, settled, back, later, seq: line.sessionSeq, stats, done, end: line.settled };
    }"""
    answer = await page.evaluate(script)
    assert answer["places"] == [1000, 1299, 1350, 1499, 1600]
    word = {"text": "a", "start_s": 12, "end_s": 14, "confidence": 1}
    moved = {"type": "final", "seq": 6, "segment_id": 2, "start_s": 12, "end_s": 16.5, "words": [word]}
    assert answer["moved"] == moved
    assert answer["again"] is None, "it came before"
    assert answer["settled"] == 1650
    assert answer["back"] == 1350
    assert answer["later"] == 1510, "the second gap was not reached"
    assert answer["seq"] == 1
    assert answer["stats"]["settled_s"] == 18.5
    whole = {"received": 1800, "transcribed": 1100, "silent": 700, "shed": 0}
    assert answer["stats"]["samples"] == whole
    assert answer["done"] == {"type": "done", "samples": whole, "segments": 3}
    assert answer["end"] == 1950


async def test_what_was_lost_is_said_with_its_places(page: Page) -> None:
    script = """async (losses) => {
      const { lossSentence } = await import('/web/notices.js');
      const { stamp } = await import('/web/view.js');
      return lossSentence(losses.map(([start_s, end_s]) => ({ start_s, end_s })), (place_s) => stamp(place_s, 0));
    }"""
    one = await page.evaluate(script, [[65, 68.25]])
    assert one == "3.3 s of sound at 1:05 were lost: they have no text."
    five = await page.evaluate(script, [[i, i + 1] for i in (1, 3, 5, 7, 9)])
    assert five == "5.0 s of sound at 0:01, 0:03, 0:05 and 2 more places were lost: they have no text."


async def test_requests_are_said_again_where_they_may_not_have_come(page: Page) -> None:
    script = """async () => {
      const { Requests } = await import('/web/requests.js');
      const requests = new Requests({ language: 'en' });
      const due = () => {
        const said = [];
        while (requests.nextAt < Infinity) said.push(requests.take());
        return said;
      };
      requests.ask(0, { type: 'configure', language: 'de' });
      requests.ask(100, { type: 'finalize', id: 'heard' });
      requests.ask(200, { type: 'configure', language: 'fr', prompt: null });
      requests.ask(200, { type: 'finalize', id: 'perhaps' });
      const first = due();
      requests.resume(200);
      const resumed = due();
      const answers = ['heard', 'heard'].map((id) => requests.answered(id));
      requests.settle(150);
      const { language } = requests.start;
      requests.renew();
      const renewed = due();
      requests.settle(250);
      requests.renew();
      return { first, resumed, answers, language, renewed, last: [requests.start, due()] };
    }"""
    answer = await page.evaluate(script)
    fr, perhaps = {"type": "configure", "language": "fr", "prompt": None}, {"type": "finalize", "id": "perhaps"}
    assert len(answer["first"]) == 4
    assert answer["resumed"] == [fr, perhaps], "what was asked before heard audio was heard, too"
    assert answer["answers"] == [True, False]
    assert answer["language"] == "de"
    assert answer["renewed"] == [fr, perhaps]
    assert answer["last"] == [{"language": "fr"}, [perhaps]]


def finals(seed: int) -> list[Final]:
    """Words of all lengths, some with hyphens, marks and what needs escaping, with pauses between."""
    random = np.random.default_rng(seed)
    stems = ["a", "country", "well-known", "x-ray", "<b>", "R&D", "-->", "incomprehensibilities-" * 3, "don't", "über"]
    made, now_s = [], 0.0
    for _ in range(12):
        words = []
        for _ in range(int(random.integers(1, 30))):
            mark = ["", "", "", ",", ".", "?"][int(random.integers(6))]
            now_s += float(random.choice([0.0, 0.1, 0.8]))
            end_s = now_s + float(random.choice([0.0, 0.2, 0.9]))
            words.append(Word(stems[int(random.integers(len(stems)))] + mark, round(now_s, 2), round(end_s, 2), 0.9))
            now_s = end_s
        text = " ".join(word.text for word in words)
        start_s, end_s = words[0].start_s, words[-1].end_s
        made.append(Final(1, 0, text, 0.9, "en", start_s, end_s, "endpoint", "m", Timing(), tuple(words)))
    return made


async def test_subtitles_are_those_of_the_command_line(page: Page) -> None:
    script = """async (segments) => {
      const { srt, vtt } = await import('/web/subtitles.js');
      return [srt(segments), vtt(segments)];
    }"""
    for seed in range(20):
        transcript = Transcript(tuple(finals(seed)))
        segments = [{"language": s.language, "words": [plain(w) for w in s.words]} for s in transcript.segments]
        assert await page.evaluate(script, segments) == [srt(transcript), vtt(transcript)]


def plain(word: Word) -> dict[str, Any]:
    return {"text": word.text, "start_s": word.start_s, "end_s": word.end_s, "confidence": word.confidence}


async def test_partials_become_finals_and_what_was_cut_off_goes(page: Page) -> None:
    script = """async () => {
      const { Transcript } = await import('/web/transcript.js');
      const transcript = new Transcript();
      const words = ['one', 'two', 'three'].map((text, i) => ({ text, start_s: i, end_s: i + 1, confidence: 0.9 }));
      const partial = (segment_id, stable, volatile, words) =>
        ({ type: 'partial', segment_id, stable, volatile, confidence: 0.9, audio_end_s: 3, words });
      const final = (segment_id, text, start_s, end_s) =>
        ({ type: 'final', segment_id, text, language: 'en', start_s, end_s, confidence: 0.8, words: [] });
      const shown = ({ id, state, words }) =>
        `${id} ${state} ${words.map((word) => (word.stable ? word.text : `(${word.text})`)).join(' ')}`;
      const told = [];
      const add = (event) => {
        const { changed, removed } = transcript.add(event);
        told.push([changed && shown(changed), removed]);
      };
      add(partial(0, 'one', 'two three', words));
      add(partial(1, '', 'four', null));
      transcript.restart();
      add(final(2, 'One two.', 0, 2));
      add(final(3, '', 2, 3));
      transcript.beginStream();
      add(final(0, 'Three.', 1, 2));
      return { told, text: transcript.text, times: transcript.finals.map((s) => [s.start_s, s.end_s]) };
    }"""
    answer = await page.evaluate(script)
    assert answer["told"] == [
        ["0 partial one (two) (three)", []],
        ["1 partial (four)", []],
        ["2 final One two.", [0, 1]],
        [None, []],
        ["3 final Three.", []],
    ]
    assert answer["text"] == "One two. Three."
    assert answer["times"] == [[0, 2], [4, 5]], "the first stream was heard up to 3 s"


async def test_the_audio_thread_keeps_what_a_busy_page_does_not_take(page: Page) -> None:
    script = """async () => {
      let Capture;
      const posted = [];
      const scope = {
        sampleRate: 16000,
        registerProcessor: (_, processor) => (Capture = processor),
        AudioWorkletProcessor: class {
          port = { postMessage: (frame) => posted.push({ ...frame, samples: new Int16Array(frame.buffer.slice()) }) };
        },
      };
      Object.assign(globalThis, scope);
      await import('/web/worklet.js');
      const capture = new Capture({ processorOptions: { rateHz: 16000, frameSamples: 320 } });
      let next = 0;
      const hear = (seconds) => {
        for (let i = 0; i < seconds * 125; i++) {
          // two channels whose mean counts up
          const left = Float32Array.from({ length: 128 }, () => (2 * (next++ % 8000)) / 32767);
          capture.process([[left, new Float32Array(128)]]);
        }
      };
      const taken = () => posted.splice(0).map((frame) => {
        capture.port.onmessage({ data: [frame.buffer] });
        return [frame.samples[0], frame.samples[319], frame.lostSamples, frame.level > 0];
      });
      hear(3);                        // one second's frames are on their way, two wait
      const first = taken();
      hear(0.008);
      const second = taken();
      hear(0.008);
      while (posted.length > 0) second.push(...taken()), hear(0.008);
      hear(20);                       // one second, then five in the ring; the rest is lost
      const third = taken();
      hear(0.008);
      const fourth = taken();
      capture.port.onmessage({ data: null });
      return { first, second, third, fourth: fourth[0], ends: capture.process([[new Float32Array(128)]]) === false };
    }"""
    answer = await page.evaluate(script)
    assert len(answer["first"]) == 50
    for i, (begin, end, lost, loud) in enumerate([*answer["first"], *answer["second"]]):
        assert (begin, end) == (i * 320 % 8_000, i * 320 % 8_000 + 319), "in order, none missing"
        assert lost == 0
        assert loud
    assert len(answer["third"]) == 50
    assert 13 * 16_000 < answer["fourth"][2] < 15 * 16_000
    assert answer["ends"]


async def test_what_a_slow_socket_does_not_take_waits_and_what_is_too_much_is_dropped(page: Page) -> None:
    script = """async () => {
      const sent = [];
      let socket;
      const Native = WebSocket;
      globalThis.WebSocket = class {
        bufferedAmount = 0;
        constructor() {
          socket = this;
          setTimeout(() => {
            this.onopen();
            const limits = { idle_timeout_s: 0, resume_window_s: 30 };
            this.say({ type: 'ready', session_id: 's', token: 't', limits, next_sample: 0 });
          });
        }
        say(message) { this.onmessage({ data: JSON.stringify(message) }); }
        send(data) { sent.push(typeof data === 'string' ? JSON.parse(data).type : [data[0], data.length]); }
        close() {}
      };
      const { connect } = await import('/web/cohear.js');
      const stream = await connect();
      globalThis.WebSocket = Native;
      const told = [];
      stream.addEventListener('warning', ({ detail }) => told.push(detail.message));
      stream.addEventListener('final', ({ detail }) => told.push(detail.start_s));
      const second = (number) => new Int16Array(16000).fill(number);
      stream.send(second(1));
      socket.bufferedAmount = 1e6;
      stream.send(second(2));
      stream.finalize('a');
      const withheld = [...sent];
      for (let i = 3; i <= 71; i++) stream.send(second(i));
      const waiting = stream.unsentSamples;
      socket.bufferedAmount = 0;
      while (stream.unsentSamples > 0) await new Promise((resolve) => setTimeout(resolve, 5));
      socket.say({ type: 'final', seq: 1, segment_id: 0, start_s: 0.5, end_s: 0.9, words: [] });
      socket.say({ type: 'final', seq: 2, segment_id: 1, start_s: 1.5, end_s: 2, words: [] });
      return { withheld, waiting, sent, told, dropped: stream.droppedSamples };
    }"""
    answer = await page.evaluate(script)
    assert answer["withheld"] == ["start", [1, 16_000]]
    assert answer["waiting"] == 70 * 16_000
    assert answer["dropped"] == 10 * 16_000
    audio = [piece for piece in answer["sent"] if isinstance(piece, list)]
    assert [number for number, _ in audio] == [1, *range(12, 72)], "seconds 2 to 11 are dropped"
    assert answer["sent"].index("finalize") == 2, "where it was asked, as what came before is gone"
    assert answer["told"] == ["audio from 1.0 s to 11.0 s was lost", 0.5, 11.5]
