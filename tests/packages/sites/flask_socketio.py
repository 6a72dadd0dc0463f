"""Flask-SocketIO under its own server; its handlers read the session of the handshake."""

from __future__ import annotations

from typing import Any

from flask import redirect, request, session
from flask_socketio import SocketIO

from . import common, on_flask

app = on_flask.make(lambda: session.get("user"), SESSION_SUBJECT_KEY="user")
socketio = SocketIO(app, async_mode="threading")


@app.route("/login", methods=["GET", "POST"])
def login() -> Any:
    if request.method == "GET":
        return "<form method=post>"
    assert request.form["password"] == common.PASSWORD
    session["user"] = request.form["username"]
    return redirect("/show")


@app.get("/logout")
def logout() -> Any:
    session.clear()
    return redirect("/show")


@socketio.on("connect")
def connect() -> Any:
    return "user" in session  # False refuses the connection


@socketio.on("who")
def who() -> Any:
    return session.get("user")


@socketio.on("write")
def write() -> Any:
    session["value"] = "from the socket"
    return "written"


if __name__ == "__main__":
    socketio.run(app, "127.0.0.1", common.PORT, allow_unsafe_werkzeug=True, use_reloader=False)
