from gmi_ieops.config import env

# 获取字符串
value = env.get("MY_CUSTOM_VAR", "default")

# 带类型转换
value_int = env.get_int("MY_INT_VAR", 10)
value_bool = env.get_bool("MY_BOOL_VAR", False)
value_float = env.get_float("MY_FLOAT_VAR", 0.5)
value_list = env.get_list("MY_LIST_VAR", ["a", "b"])
