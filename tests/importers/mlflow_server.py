"""Stock MLflow's own application on a SQLite file, without the process manager around it: ready in seconds."""

from __future__ import annotations

import os
import sys

folder, port = sys.argv[1], int(sys.argv[2])
database = f"sqlite:///{folder}/mlflow.db"
os.environ |= {
    "_MLFLOW_SERVER_FILE_STORE": database,
    "_MLFLOW_SERVER_REGISTRY_STORE": database,
    "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
    "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
    "_MLFLOW_SERVER_ARTIFACT_DESTINATION": f"{folder}/artifacts",
}

from mlflow.server import app  # noqa: E402 -- it reads the variables when it is imported
from mlflow.server.handlers import initialize_backend_stores  # noqa: E402
from werkzeug.serving import make_server  # noqa: E402

initialize_backend_stores(database, database, "mlflow-artifacts:/")
server = make_server("127.0.0.1", port, app, threaded=True)
print("ready", flush=True)  # noqa: T201 -- the test waits for it
server.serve_forever()
