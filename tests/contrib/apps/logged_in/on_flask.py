"""An application around docs/logged-in.md's views for Flask."""

import os

from flask import Flask, redirect, render_template, request, session
from logins import Base, end_one, end_others, engine, log_out, note, where_logged_in

from duck_cookie_session.contrib.flask import CookieSessionInterface

app = Flask(__name__)
app.config.update(
    SECRET_KEY=os.environ["SECRET_KEY"], SESSION_DIR="sessions", SESSION_SUBJECT_KEY="user"
)
CookieSessionInterface(app)
Base.metadata.create_all(engine)


@app.after_request  # before the session is saved
def note_login(response):
    note(session, request.user_agent.string)
    return response


@app.get("/sessions")
def sessions():
    found = where_logged_in(session)
    return render_template("sessions.html", logins=found, here=session.session_id)


@app.post("/sessions/<session_id>/end")
def end_session(session_id):
    end_one(session, session_id)
    return redirect("/sessions")


@app.post("/sessions/end-others")
def end_other_sessions():
    end_others(session)
    return redirect("/sessions")


@app.post("/logout")
def logout():
    log_out(session)
    return redirect("/")


# What every application has.


@app.post("/login/<user>")
def login(user):
    session["user"] = user
    return ""


@app.get("/")
def home():
    return session.get("user", "nobody")


@app.post("/again")
def again():
    session.reauthenticated()
    return ""
