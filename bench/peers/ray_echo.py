"""Ray Serve gives the body back: one replica on a cluster of this machine."""

import signal
import sys

import ray
from ray import serve


@serve.deployment(num_replicas=1, max_ongoing_requests=100, ray_actor_options={"num_cpus": 0.5})
class Echo:
    async def __call__(self, request):
        return {"echo": await request.json()}


if __name__ == "__main__":
    port, folder = int(sys.argv[1]), sys.argv[2]
    # So that Ray ends its processes when it is told to stop.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=200_000_000,
        configure_logging=False,
        _temp_dir=folder,
    )
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(Echo.bind(), route_prefix="/echo")
    signal.pause()
