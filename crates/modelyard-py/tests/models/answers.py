"""Results of every kind, good and bad."""

import collections
import datetime
import enum
import io
import os
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from modelyard import FileResponse, HTTPError, Model, Response


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


@dataclass
class Point:
    x: float
    names: dict[str, Colour] = field(default_factory=dict)


Pair = collections.namedtuple("Pair", "left right")


class Answers(Model):
    def setup(self, ctx):
        self.file = Path(ctx.config["file"])

    def predict(self, payload):
        return payload

    def rich(self):
        return {
            "point": Point(1.0, {"a": Colour.RED}),
            "level": Level.HIGH,
            "pair": Pair(1, 2),
            "ordered": collections.OrderedDict(b=1, a=2),
            "when": datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.timezone.utc),
            "id": uuid.UUID(int=7),
            "data": b"\x00\x01",
            "big": 2**70,
            2: None,
            True: 1.5,
            "path": Path("/a/b"),
        }

    def point(self):
        return Point(2.0)

    def arrays(self):
        import numpy as np

        return {
            "matrix": np.arange(4, dtype=np.float32).reshape(2, 2),
            "scalar": np.float64(0.5),
            "flag": np.bool_(True),
            np.str_("key"): np.int64(7),
        }

    def array(self):
        import numpy as np

        return np.array([1, 2, 3])

    def raw(self):
        return b"\x89PNG"

    def response(self):
        return Response("<p>hi</p>", 201, {"x-model": "m", "set-cookie": "a=1"}, "text/html")

    def response_json(self):
        return Response({"a": [1]}, status=202)

    def response_pieces(self):
        return Response((word for word in ("a", b"b", "c")), media_type="text/plain")

    async def response_pieces_later(self):
        async def pieces():
            yield "a"
            yield b"b"

        return Response(pieces(), status=206)

    def download(self):
        return FileResponse(self.file, filename='my "file".txt', headers={"x-a": "b"})

    def missing_file(self):
        return FileResponse("/nowhere/at/all")

    def bad_header(self):
        return Response("", headers={"a b": "c"})

    def set_inside(self):
        return {"items": [1, {"deep": {1, 2}}]}

    def object(self):
        return object()

    def nan(self):
        return {"loss": float("nan")}

    def circle(self):
        items: list = []
        items.append(items)
        return items

    def lone_surrogate(self):
        return "\ud800"

    def bad_key(self):
        return {(1, 2): 3}

    def open_file(self):
        return {"file": io.StringIO("x")}

    def raises(self, payload):
        raise ValueError(f"cannot take {payload}")

    async def raises_later(self, payload):
        raise KeyError("missing")

    def raises_nothing_to_say(self):
        raise RuntimeError

    def refuses(self):
        raise HTTPError(404, "there is no such voice", headers={"x-hint": "look"})

    async def refuses_later(self):
        raise HTTPError(402)

    def exits(self):
        sys.exit(3)

    async def exits_later(self):
        sys.exit("enough")

    def dies(self):
        os._exit(9)
