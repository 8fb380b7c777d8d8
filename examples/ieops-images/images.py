"""The image worker of the gmi-ieops document, with a painter that only knows colours."""

import base64
import struct
import time
import zlib

from modelyard.config import env
from modelyard.handler import Handler, HTTPException, RouterDef, RouterKind, Server

SIDE_MAX = 512
STEPS = 10


class Painter:
    def generate(self, query):
        """One picture; a plain function runs in a thread, and may compute for long."""
        prompt, side = wish(query)
        return {"images": [{"base64": base64.b64encode(paint(prompt, side)).decode()}]}

    def generate_stream(self, query):
        """How far the picture is, and then the picture."""
        prompt, side = wish(query)
        for step in range(STEPS):
            yield {"progress": step * 100 // STEPS, "status": "generating"}
            time.sleep(0.01)
        image = base64.b64encode(paint(prompt, side)).decode()
        yield {"progress": 100, "status": "complete", "images": [{"base64": image}]}


def wish(query):
    prompt, side = query.get("prompt", ""), query.get("side", 64)
    if not prompt:
        raise HTTPException(400, "prompt is missing")
    if not isinstance(side, int) or not 0 < side <= SIDE_MAX:
        raise HTTPException(400, f"side is a whole number from 1 to {SIDE_MAX}")
    return prompt, side


def paint(prompt, side):
    """A PNG of a gradient; each prompt has its own colour."""
    colour = zlib.crc32(prompt.encode()).to_bytes(4, "big")[:3]
    rows = bytearray()
    for y in range(side):
        # Each row begins with its filter: none.
        rows += b"\0" + bytes(level * (y + 1) // side for _ in range(side) for level in colour)
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(rows))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*parts) for parts in chunks)


def chunk(kind, data):
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def main():
    painter = Painter()
    server = Server(
        routers={
            "images": [
                RouterDef(path="generate", handler=painter.generate),
                RouterDef(
                    path="generate/stream", handler=painter.generate_stream, kind=RouterKind.SSE
                ),
            ],
        },
        app_name=env.app.name,
    )
    Handler(server=server).serve()


if __name__ == "__main__":
    main()
