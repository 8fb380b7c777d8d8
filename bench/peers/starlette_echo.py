"""Starlette gives the body back: about the least that a Python web framework can do."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def echo(request: Request) -> JSONResponse:
    return JSONResponse({"echo": await request.json()})


app = Starlette(routes=[Route("/echo", echo, methods=["POST"])])
