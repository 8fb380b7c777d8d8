# ✅ 好: 产出增量结果
async def stream_handler(query):
    async for chunk in generate():
        yield {"content": chunk, "stopped": False}
    yield {"stopped": True}

# ❌ 坏: 收集所有再产出
async def bad_stream(query):
    results = []
    async for chunk in generate():
        results.append(chunk)
    yield {"content": "".join(results)}
