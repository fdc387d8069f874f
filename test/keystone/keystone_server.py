"""Serves Debian's Keystone on a free port of 127.0.0.1, which it prints. For tests: one request at a time, no TLS.

OS_KEYSTONE_CONFIG_DIR names the directory of its keystone.conf.
"""
import sys
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

sys.argv = ["keystone"]  # Keystone parses the command line that it finds

from keystone.server.wsgi import initialize_public_application  # noqa: E402


class Server(WSGIServer):
    request_queue_size = 64


class Handler(WSGIRequestHandler):
    def address_string(self):
        return self.client_address[0]

    def log_message(self, *arguments):
        pass


server = make_server("127.0.0.1", 0, initialize_public_application(), Server, Handler)
print(server.server_port, flush=True)
server.serve_forever()
