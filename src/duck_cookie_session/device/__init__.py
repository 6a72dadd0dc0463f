"""Sessions bound to their device: DBSC (https://w3c.github.io/webappsec-dbsc/). Not API."""
