"""A worker that keeps texts in the user's storage: `open("gmifs://…")`, and FileSystem."""

import re

from modelyard.config import env
from modelyard.handler import Handler, HTTPException, HTTPMethod, RouterDef, Server
from modelyard.storage import FileSystem

FOLDER = "notes"


class Notes:
    def write(self, query):
        """Keeps a text. A plain function: it waits for the storage in a thread."""
        with open(path_of(query), "w") as file:
            size = file.write(query.get("text", ""))
        return {"letters": size}

    def read(self, query):
        """What was kept."""
        try:
            with open(path_of(query)) as file:
                return {"text": file.read()}
        except FileNotFoundError:
            raise HTTPException(404, "there is no such note") from None

    def names(self, query):
        """What there is, by the API that works on folders."""
        with FileSystem() as storage:
            storage.mkdir(FOLDER, parents=True, exist_ok=True)
            return {"notes": sorted(storage.listdir(FOLDER))}


def path_of(query):
    name = query["name"]
    if not re.fullmatch(r"[\w-]{1,64}", name):
        raise HTTPException(400, "a name has letters, digits and hyphens")
    return f"gmifs://{FOLDER}/{name}"


def main():
    notes = Notes()
    routes = [
        RouterDef(path="", handler=notes.names, method=HTTPMethod.GET),
        RouterDef(path="{name}", handler=notes.read, method=HTTPMethod.GET),
        RouterDef(path="{name}", handler=notes.write, method=HTTPMethod.PUT),
    ]
    Handler(server=Server(routers={"notes": routes}, app_name=env.app.name)).serve()


if __name__ == "__main__":
    main()
