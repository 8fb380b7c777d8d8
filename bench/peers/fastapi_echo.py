"""FastAPI gives the body back."""

from fastapi import FastAPI, Request

app = FastAPI()


@app.post("/echo")
async def echo(request: Request):
    return {"echo": await request.json()}
