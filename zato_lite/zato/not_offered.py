"""Features of Zato that zato-lite does not offer, each with what to use instead."""

from collections.abc import Mapping

from zato_lite.errors import NotOfferedError

_LIBRARY = "use a client library, with its settings in self.config"
_REST = "use self.out.rest"
_INVOKE = "use self.invoke_async"
_SQL = "use self.out.sql"

ATTRIBUTES: Mapping[str, tuple[str, str]] = {
    "amqp": ("Zato's AMQP connections", _LIBRARY),
    "aws": ("Zato's AWS connections", _LIBRARY),
    "broker_client": ("Zato's message broker", _INVOKE),
    "cassandra_conn": ("Zato's Cassandra connections", _LIBRARY),
    "cassandra_query": ("Zato's Cassandra queries", _LIBRARY),
    "cloud": ("Zato's cloud connections", _LIBRARY),
    "commands": ("Zato's shell commands", "use subprocess"),
    "definition": ("Zato's connection definitions", _LIBRARY),
    "destination": ("Zato's destinations", "use self.invoke"),
    "es": ("Zato's search connections", _LIBRARY),
    "fhir": ("Zato's FHIR connections", _REST),
    "ftp": ("Zato's FTP connections", _LIBRARY),
    "grpc": ("Zato's gRPC connections", _LIBRARY),
    "ibm_mq": ("Zato's IBM MQ connections", _LIBRARY),
    "im": ("Zato's instant messaging", _LIBRARY),
    "kafka": ("Zato's Kafka connections", _LIBRARY),
    "keysight": ("Zato's Keysight connections", _LIBRARY),
    "ldap": ("Zato's LDAP connections", _LIBRARY),
    "llm": ("Zato's LLM connections", _LIBRARY),
    "metrics": ("Zato's own metrics", "metrics of services are in /metrics"),
    "microsoft": ("Zato's Microsoft connections", _LIBRARY),
    "mllp": ("Zato's HL7 connections", _LIBRARY),
    "mongodb": ("Zato's MongoDB connections", _LIBRARY),
    "msg": ("Zato's JSON pointers and XPath", "use request.payload, or a library"),
    "odata": ("Zato's OData connections", _REST),
    "odb": ("Zato's database", _SQL),
    "publish": ("Zato's publish/subscribe", _INVOKE),
    "pubsub": ("Zato's publish/subscribe", _INVOKE),
    "rules": ("Zato's rule engine", "use code"),
    "salesforce": ("Zato's Salesforce connections", _REST),
    "sap": ("Zato's SAP connections", _LIBRARY),
    "search": ("Zato's search connections", _LIBRARY),
    "security": ("Zato's security definitions", "the caller is self.caller"),
    "sftp": ("Zato's SFTP connections", _LIBRARY),
    "slack": ("Zato's Slack connections", _REST),
    "smb": ("Zato's SMB connections", _LIBRARY),
    "sms": ("Zato's SMS connections", _LIBRARY),
    "soap": ("Zato's SOAP connections", _LIBRARY),
    "sso": ("Zato's single sign-on", "users, roles and keys are in docs/access.md"),
    "static_config": ("Zato's static configuration", "use self.config"),
    "translate": ("Zato's translation of codes", "use a dictionary, or self.out.sql"),
    "vault": ("Zato's Vault connections", "secrets are in the environment or in files"),
    "wsx": ("Zato's WebSocket gateways", "mount an ASGI application: docs/http.md"),
}
"""Attributes of a service: what each is, and what to use instead."""

_OUTGOING = {
    **{name: ATTRIBUTES[name] for name in (
        "amqp", "es", "ftp", "ibm_mq", "ldap", "mongodb", "odata", "salesforce", "sap", "sftp",
        "sms", "soap", "vault", "wsx")},
    "cassandra": ATTRIBUTES["cassandra_conn"],
    "hl7": ATTRIBUTES["mllp"],
    "jms_wmq": ATTRIBUTES["ibm_mq"],
    "odoo": ("Zato's Odoo connections", _LIBRARY),
    "zmq": ("Zato's ZeroMQ connections", _LIBRARY),
}  # fmt: skip

PATHS: Mapping[tuple[str, ...], tuple[str, str]] = {
    **{("self", name): words for name, words in ATTRIBUTES.items()},
    **{("self", out, name): words for out in ("out", "outgoing")
       for name, words in _OUTGOING.items()},
    ("self", "email", "imap"): ("Zato's IMAP connections", "use imaplib"),
    ("self", "kvdb", "lua_container"): ("Zato's Lua programs", "use self.kvdb.conn.eval"),
    ("self", "response", "content_encoding"): (
        "Zato's encoding", "the server compresses answers itself"),
    ("self", "server", "fs_server_config"): ("Zato's server.conf", "use self.config"),
    ("self", "server", "service_store"): (
        "Zato's store of services", "invoke zato.service.get-list"),
    ("KVDB", "SERVICE_USAGE"): ("a counter in Redis", "use self.usage"),
}  # fmt: skip
"""The same for expressions, by the names in them."""

CALLS: Mapping[str, tuple[str, str]] = {
    "callproc": ("Zato's call of stored procedures", "use session.execute"),
}
"""Methods, of whatever object."""

CLASS_ATTRIBUTES: Mapping[str, tuple[str, str]] = {
    "schema": ("a JSON Schema file", "declare input"),
}
"""Attributes that a class sets to a text, which Zato reads."""

MODULES: Mapping[str, tuple[str, str]] = {
    "zato.cache": ("Zato's cache", "use self.cache"),
    "zato.common.broker_message": ("Zato's message broker", _INVOKE),
    "zato.common.crypto": ("Zato's cryptography", "use self.crypto"),
    "zato.common.kvdb": ("Zato's Redis", "use self.kvdb.conn"),
    "zato.common.odb": ("Zato's database", _SQL),
    "zato.common.pubsub": ("Zato's publish/subscribe", _INVOKE),
    "zato.common.soap": ("Zato's SOAP", _LIBRARY),
    "zato.common.util.xml_": ("Zato's XML messages", "use a library, such as lxml"),
    "zato.hl7": ("Zato's HL7", _LIBRARY),
    "zato.hl7v2": ("Zato's HL7", _LIBRARY),
    "zato.server.service.adapter": ("Zato's adapters", _REST),
    "zato.server.service.internal": ("Zato's own services", "invoke those of docs/services.md"),
    "zato.server.pubsub": ("Zato's publish/subscribe", _INVOKE),
    "zato.sso": ATTRIBUTES["sso"],
    "zato": ("a part of Zato", "use what the page «From Zato» lists"),
    "gevent": ("what Zato runs on", "use self.sleep, self.spawn or asyncio"),
}
"""Modules that cannot be imported; a longer name counts before a shorter one."""

PYTHON_2: Mapping[str, str] = {
    "ConfigParser": "configparser",
    "HTMLParser": "html.parser",
    "Queue": "queue",
    "StringIO": "io",
    "cPickle": "pickle",
    "cStringIO": "io",
    "httplib": "http.client",
    "urllib2": "self.out.rest, or urllib.request",
    "urlparse": "urllib.parse",
}
"""Modules of Python 2, and those to use instead."""

NAMES: Mapping[str, tuple[str, str]] = {
    "AsynchronousService": ("a base class of Zato 1", "use Service"),
    "BusinessCentralAdapter": MODULES["zato.server.service.adapter"],
    "HTMLService": (
        "Zato's templates", "set response.payload, and response.content_type = 'text/html'"),
    "JSONAdapter": MODULES["zato.server.service.adapter"],
    "ODataAdapter": MODULES["zato.server.service.adapter"],
    "PUBSUB": ATTRIBUTES["pubsub"],
    "PubSubHook": ATTRIBUTES["pubsub"],
    "PubSubMessage": ATTRIBUTES["pubsub"],
    "RESTAdapter": MODULES["zato.server.service.adapter"],
    "SAPAdapter": MODULES["zato.server.service.adapter"],
    "SOAPMessage": MODULES["zato.common.soap"],
    "WEB_SOCKET": ATTRIBUTES["wsx"],
    "WSXAdapter": ATTRIBUTES["wsx"],
    "XMLMessage": MODULES["zato.common.util.xml_"],
}  # fmt: skip
"""Names that cannot be imported from modules that exist."""


def sentence(name: str, words: tuple[str, str]) -> str:
    """Return the sentence about a feature."""
    what, instead = words
    return f"{name} is {what}, not in zato-lite; {instead}"


class NotOfferedAttributeError(NotOfferedError, AttributeError):
    """A service uses an attribute of Zato's that zato-lite lacks."""


def lacking(*path: str) -> AttributeError:
    """Return the error of an attribute that does not exist, given as ``"self", "out", "ftp"``."""
    if words := PATHS.get(path):
        return NotOfferedAttributeError(sentence(".".join(path), words))
    return AttributeError(f"{'.'.join(path)} does not exist")


def of_module(name: str) -> str:
    """Return the sentence about a module; an empty text if nothing is known of it."""
    if instead := PYTHON_2.get(name):
        return f"{name} is a module of Python 2; use {instead}"
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        if words := MODULES.get(".".join(parts[:count])):
            return sentence(name, words)
    return ""


def of_name(module: str, name: str) -> str:
    """Return the sentence about a name of one of Zato's modules; else an empty text."""
    if words := NAMES.get(name):
        return sentence(name, words)
    return sentence(f"{module}.{name}", MODULES["zato"]) if module.startswith("zato.") else ""
