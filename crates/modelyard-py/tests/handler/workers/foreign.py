"""Handlers that answer with responses, those of FastAPI and ours, and raise FastAPI's exception."""

import os
import tempfile

from fastapi import HTTPException as FastAPIException
from fastapi.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    StreamingResponse,
)
from starlette.background import BackgroundTask

from modelyard import Response
from modelyard.handler import Handler, HTTPMethod, RouterDef, Server


def note(text):
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(text + "\n")


async def json(query):
    task = BackgroundTask(note, "afterwards")
    return JSONResponse({"a": 1}, status_code=202, headers={"x-own": "1"}, background=task)


def html_on_a_thread(query):
    return HTMLResponse("<p>é</p>")


async def redirect(query):
    return RedirectResponse("/elsewhere")


async def stream(query):
    async def pieces():
        try:
            for i in range(query.get("n", 3)):
                yield f"{i},"
        finally:
            note("stream-closed")

    return StreamingResponse(pieces(), media_type="text/csv")


def stream_on_a_thread(query):
    return StreamingResponse((b"x" * 1000 for _ in range(query["n"])), media_type="image/raw")


async def broken_stream(query):
    async def pieces():
        yield "a"
        raise ValueError("boom")

    return StreamingResponse(pieces())


async def file(query):
    path = tempfile.mkstemp(suffix=".txt")[1]
    with open(path, "w") as out:
        out.write("in a file")
    return FileResponse(path)


async def ours(query):
    return Response(b"raw", status=201, headers={"x-own": "2"}, media_type="image/png")


async def refuses(query):
    raise FastAPIException(status_code=400, detail="Messages required")


routes = [json, html_on_a_thread, redirect, stream, stream_on_a_thread, broken_stream, file, ours,
          refuses]  # fmt: skip

if __name__ == "__main__":
    server = Server(
        routers={"": [RouterDef(f.__name__, f, method=HTTPMethod.POST) for f in routes]}
    )
    Handler(server=server).serve()
