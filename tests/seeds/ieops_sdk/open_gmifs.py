# 设置环境变量启用 NFS
# IEOPS_NFS_SERVER=10.0.0.1:32049

# 导入 handler 模块时会自动启用 NFS（无需手动导入 storage）
from gmi_ieops.handler import Handler, Server

# 使用 gmifs:// 前缀写入 NFS
with open("gmifs://output/image.png", "wb") as f:
    f.write(image_data)

# 不带前缀的路径仍然访问本地文件系统
with open("/data/models/model.bin", "rb") as f:  # 本地文件
    data = f.read()
