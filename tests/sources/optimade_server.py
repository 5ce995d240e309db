"""The reference server of OPTIMADE, in memory, on a free port of the loopback: run with a file and a log folder."""

import socket
import sys


def serve(crystals: str, logs: str) -> None:
    import uvicorn
    from optimade.server.config import ServerConfig
    from optimade.server.create_app import create_app

    config = ServerConfig(
        insert_test_data=False,  # it would ask the internet for the list of providers
        insert_from_jsonl=crystals,
        database_backend="mongomock",
        page_limit_max=20,
        log_level="error",
        log_dir=logs,
        provider={"prefix": "test", "name": "Made for tests", "description": "Crystals that the tests make"},
        provider_fields={"structures": ["band_gap", "stable", "tags"]},
    )
    app = create_app(config)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    sys.stdout.write(f"port {listening.getsockname()[1]}\n")
    sys.stdout.flush()
    uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off")).run(sockets=[listening])


if __name__ == "__main__":
    serve(*sys.argv[1:])
