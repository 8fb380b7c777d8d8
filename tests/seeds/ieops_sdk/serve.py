from gmi_ieops.handler import Handler, Server, RouterDef, RouterKind
from gmi_ieops.config import env

def main():
    handler = MyHandler()

    server = Server(
        routers={
            "chat": [
                RouterDef(path="stream", handler=handler.chat_stream, kind=RouterKind.SSE),
                RouterDef(path="complete", handler=handler.chat_complete, kind=RouterKind.API),
            ],
        },
        app_name=env.app.name,
    )

    Handler(server=server).serve()

if __name__ == "__main__":
    main()
