"""The floor for calls: Twisted's own XML-RPC resource, echoing, over the same TLS. Arguments: port, key, chain."""

import sys
from pathlib import Path

from twisted.internet import endpoints, reactor
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web import server
from twisted.web.xmlrpc import XMLRPC

from sfa_am.wire.tls import ClientCertificateTLS


class Echo(XMLRPC):
    """One method that gives back what it got."""

    def xmlrpc_echo(self, value):
        """The value."""
        return value


def main() -> None:
    """Serve until killed."""
    port, key, chain = sys.argv[1:]
    factory = TLSMemoryBIOFactory(ClientCertificateTLS((Path(key), Path(chain))), False, server.Site(Echo()))
    endpoints.TCP4ServerEndpoint(reactor, int(port), interface="127.0.0.1").listen(factory)
    reactor.run()


if __name__ == "__main__":
    main()
