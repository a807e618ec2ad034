"""Smart Turn over HTTP: says how likely it is that a speaker has said all.

The model comes with Pipecat (BSD 2-Clause) and runs on the CPU. The interface is
that of Pipecat's HttpSmartTurnAnalyzer: POST /raw with an array of float32
samples, 16 kHz mono, as numpy.save writes it, is answered by
{"prediction": 1, "probability": 0.97}. GET /health says that it is up.

It asks for no token and speaks no TLS: for a store's own network.
"""

import argparse
import asyncio
import io
import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from loguru import logger

logger.remove()  # before Pipecat greets
from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3  # noqa: E402

RATE = 16000
LONGEST = 8 * RATE  # samples; what the model hears of a turn
LARGEST = 4 * 16 * RATE + 1024  # bytes of a request: twice as many, and a header
PATIENCE = 0.3  # seconds until an answer decides nothing any more

# One inference for each core; who finds none free in time is told so.
cores = os.cpu_count() or 1
free = threading.BoundedSemaphore(cores)


def complete(samples):
    analyzer = LocalSmartTurnAnalyzerV3(sample_rate=RATE)  # all share one model
    pcm = np.clip(samples[-LONGEST:] * 32768, -32768, 32767).astype("<i2")
    analyzer.append_audio(pcm.tobytes(), True)
    _, metrics = asyncio.run(analyzer.analyze_end_of_turn())
    return metrics.probability


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds that a connection may be idle

    def do_GET(self):
        self.answer(200 if self.path == "/health" else 404, {})

    def do_POST(self):
        length = int(self.headers.get("Content-Length") or 0)
        if self.path != "/raw" or not 0 < length <= LARGEST:
            self.close_connection = True  # the body is not read
            return self.answer(404 if self.path != "/raw" else 413, {"error": f"POST /raw, 1 to {LARGEST} bytes"})
        body = self.rfile.read(length)
        try:
            samples = np.load(io.BytesIO(body), allow_pickle=False)
            if samples.ndim != 1 or samples.dtype != np.float32 or not samples.size or not np.isfinite(samples).all():
                raise ValueError(f"an array {samples.shape} of {samples.dtype}")
        except (ValueError, EOFError) as e:
            return self.answer(400, {"error": f"not what numpy.save writes of some float32 samples: {e}"})
        if not free.acquire(timeout=PATIENCE):
            return self.answer(503, {"error": "busy"})
        try:
            probability = complete(samples)
        finally:
            free.release()
        self.answer(200, {"prediction": int(probability > 0.5), "probability": probability})

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        pass  # one line for each pause of each customer would tell nobody anything


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--listen", default="127.0.0.1:8130", metavar="HOST:PORT", help="default %(default)s; port 0: any")
    host, _, port = parser.parse_args().listen.rpartition(":")
    complete(np.zeros(RATE, np.float32))  # nobody waits for the model to load
    server = ThreadingHTTPServer((host, int(port)), Handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"Smart Turn at http://{host}:{server.server_port}/raw", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


main()
