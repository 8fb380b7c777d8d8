# ✅ 好: 无状态 handler，配置来自构造函数
class Handler:
    def __init__(self, model_path: str = env.model.path):
        self.model = load_model(model_path)

# ❌ 坏: 全局状态
MODEL = None
def handler(query):
    global MODEL
    if MODEL is None:
        MODEL = load_model()
