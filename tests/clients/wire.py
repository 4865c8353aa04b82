"""A user's calls as any XML-RPC client makes them: whatever structs, answered with whatever comes."""

import ssl
import xmlrpc.client

from credentials.keys import read_private_key, ssh_public_key


class Wire:
    """wire("Status", [urn], credentials, {}) is what the server answered, unread."""

    def __init__(self, server, name="alice", *, path="/am/3", port=0):
        session = server.session(name)
        self.port = port or server.am_port
        self.key = session.folder.key
        self.context = ssl.create_default_context(cafile=str(session.folder.roots))
        self.context.load_cert_chain(str(session.gid), str(self.key))
        url = f"https://localhost:{self.port}{path}"
        self.proxy = xmlrpc.client.ServerProxy(url, context=self.context, allow_none=True)

    def __call__(self, method, *sent):
        return getattr(self.proxy, method)(*sent)

    @property
    def public_key(self):
        """For logging in over SSH."""
        return ssh_public_key(read_private_key(self.key.read_bytes()).public_key())


def code(answer):
    return answer["code"]["geni_code"]
