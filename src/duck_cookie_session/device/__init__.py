"""Sessions bound to the device that they began on: DBSC (https://w3c.github.io/webappsec-dbsc/)."""
