"""docs/logged-in.md: the table, with SQLAlchemy."""

import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from sqlalchemy import String, create_engine, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from duck_cookie_session import get_session_storage_connector

MOST = 3  # sessions of one user; whichever was not used for longest makes room
EVERY = timedelta(minutes=5)  # how often a session that is used is noted

engine = create_engine(os.environ["DATABASE_URL"])


def now():
    return datetime.now(UTC).replace(tzinfo=None)  # some databases keep no zone


class Base(DeclarativeBase):
    pass


class Login(Base):
    __tablename__ = "logins"
    session_id: Mapped[str] = mapped_column(String(22), primary_key=True)
    user: Mapped[str] = mapped_column(String(150), index=True)
    browser: Mapped[str] = mapped_column(String(200))
    last_used: Mapped[datetime]  # UTC


def note(session, browser):
    """For every response, before it starts: a write at a login, then one in five minutes."""
    if not session.accessed or session.get("user") is None:
        return
    here, moment = session.session_id, now()
    before, at = session.get("noted", ("", moment))
    if before == here and moment - at < EVERY:
        return
    session["noted"] = here, moment
    user = str(session["user"])
    with suppress(IntegrityError), Session(engine) as db, db.begin():  # noted beside this request
        db.merge(Login(session_id=here, user=user, browser=browser[:200], last_used=moment))
        if before != here:  # a login, or reauthenticated()
            db.execute(delete(Login).where(Login.session_id == before))
            for login in db.scalars(logins_of(user).offset(MOST)).all():
                end(db, login)


def logins_of(user):
    lifetime = timedelta(seconds=get_session_storage_connector().settings.cookie_age)
    mine = select(Login).where(Login.user == user, Login.last_used > now() - lifetime)
    return mine.order_by(Login.last_used.desc())


def end(db, login):
    get_session_storage_connector().delete_session(login.session_id)
    db.delete(login)


def where_logged_in(session):
    with Session(engine) as db:
        return list(db.scalars(logins_of(str(session["user"]))))


def end_one(session, session_id):
    with Session(engine) as db, db.begin():
        login = db.get(Login, session_id)
        if login is not None and login.user == str(session["user"]):  # nobody ends another's
            end(db, login)


def end_others(session):
    session.delete_other_sessions()  # those too that are not in the table
    with Session(engine) as db, db.begin():
        mine = Login.user == str(session["user"])
        db.execute(delete(Login).where(mine, Login.session_id != session.session_id))


def log_out(session):
    with Session(engine) as db, db.begin():
        db.execute(delete(Login).where(Login.session_id == session.session_id))
    session.clear()
