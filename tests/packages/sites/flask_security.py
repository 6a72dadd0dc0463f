"""Flask-Security-Too: its login and logout pages, with the CSRF token of Flask-WTF."""

from __future__ import annotations

from flask_login import current_user
from flask_security import Security, SQLAlchemySessionUserDatastore, auth_required, hash_password
from flask_security.models import sqla
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, scoped_session, sessionmaker

from . import common, on_flask


class Base(DeclarativeBase):
    pass


sqla.FsModels.set_db_info(base_model=Base)


class Role(Base, sqla.FsRoleMixin):
    __tablename__ = "role"


class User(Base, sqla.FsUserMixin):
    __tablename__ = "user"


def who() -> str | None:
    return current_user.email.partition("@")[0] if current_user.is_authenticated else None


engine = create_engine("sqlite:///users.sqlite3")
database = scoped_session(sessionmaker(engine))
app = on_flask.make(
    who,
    SECURITY_PASSWORD_SALT="salt",
    SECURITY_PASSWORD_HASH="plaintext",  # quick
    SECURITY_PASSWORD_SCHEMES=["plaintext"],
    SECURITY_PASSWORD_SINGLE_HASH=True,
    SECURITY_POST_LOGIN_VIEW="/show",
    SECURITY_POST_LOGOUT_VIEW="/show",
    SECURITY_EMAIL_VALIDATOR_ARGS={"check_deliverability": False},
)
users = SQLAlchemySessionUserDatastore(database, User, Role)
Security(app, users)
app.teardown_appcontext(lambda error: database.remove())


@app.get("/guarded")
@auth_required("session")
def guarded() -> str:
    return "guarded"


with app.app_context():
    Base.metadata.create_all(engine)
    users.create_user(email="alice@example.org", password=hash_password(common.PASSWORD))
    database.commit()

if __name__ == "__main__":
    on_flask.serve(app)
