"""Receives a webhook and verifies it with the Python package `standardwebhooks`.

Usage: webhooks.py BASE, where BASE is a `knead dev` with the demo city. The first attempt is refused, so that a second one comes.
"""

import json
import queue
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

from standardwebhooks.webhooks import Webhook

BASE = sys.argv[1]
received: "queue.Queue[tuple[dict[str, str], bytes]]" = queue.Queue()
answers = [500, 204]


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        received.put(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(answers.pop(0) if answers else 204)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def call(method: str, path: str, body: object = None, token: str = "") -> dict:
    request = urllib.request.Request(BASE + path, method=method, data=None if body is None else json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read() or "{}")


server = HTTPServer(("127.0.0.1", 0), Receiver)
Thread(target=server.serve_forever, daemon=True).start()
login = {"email": "admin@knead.example", "password": "knead-demo-city"}
token = call("POST", "/v1/auth/login", login)["access_token"]
url = f"http://127.0.0.1:{server.server_port}/hooks"
endpoint = call("POST", "/v1/webhook-endpoints", {"url": url}, token)
path = f"/v1/webhook-endpoints/{endpoint['id']}"
try:
    delivery = call("POST", f"{path}/test", token=token)
    for attempt in (1, 2):
        headers, body = received.get(timeout=60)
        message = Webhook(endpoint["secret"]).verify(body, headers)
        assert headers["webhook-id"] == delivery["id"], headers
        assert message["type"] == "endpoint.test" and message["data"] == {"endpoint_id": endpoint["id"]}, message
        print(f"attempt {attempt} verifies: {headers['webhook-id']}")
finally:
    call("DELETE", path, token=token)
