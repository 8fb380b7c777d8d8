from typing import Dict, Any, AsyncGenerator

class MyHandler:
    """你的推理模型 Handler"""

    async def chat_stream(self, query: Dict[str, Any]) -> AsyncGenerator[Dict[str, Any], None]:
        """异步生成器用于流式输出"""
        messages = query.get("messages", [])
        response = f"Hello! You said: {messages[-1]['content'] if messages else 'nothing'}"

        for char in response:
            yield {
                "results": [{"content": char, "role": "assistant"}],
                "stopped": False,
            }

        yield {"stopped": True, "stop_reasons": ["end"]}

    def chat_complete(self, query: Dict[str, Any]) -> Dict[str, Any]:
        """同步函数用于单次响应"""
        return {"message": "Hello from sync handler!"}
