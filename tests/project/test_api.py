"""The public interface: every name, base and signature that other code relies on."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import duck_cookie_session
import duck_cookie_session.engine as engine
import duck_cookie_session.session_storage_connector as connector_module
from duck_cookie_session import (
    MemoryRevocationList,
    SessionSettings,
    SessionStorageConnector,
    SessionStore,
    SQLiteRevocationList,
)
from tests.helpers.calls import ACTS, way_of


def shape(function: Callable[..., Any]) -> str:
    """Parameters and defaults, without annotations."""
    parameters = inspect.signature(function).parameters.values()
    return ", ".join(
        ("*" if p.kind is p.VAR_POSITIONAL else "")
        + p.name
        + (" (keyword)" if p.kind is p.KEYWORD_ONLY else "")
        + ("" if p.default is p.empty else f"={p.default!r}")
        for p in parameters
    )


def returns(function: Callable[..., Any]) -> object:
    return inspect.signature(function, eval_str=True).return_annotation


PUBLIC = [
    "NonPersistentStorageError",
    "SessionStorageConnector",
    "get_session_storage_connector",
    "SessionError",
    "SessionExpired",
    "SessionStore",
    "SessionSettings",
    "configure",
    "MemoryRevocationList",
    "SQLiteRevocationList",
    "SessionTooLarge",
    "SessionRevoked",
    "SessionSerializationError",
    "RevocationListUnavailable",
    "session_headers",
]


@pytest.mark.parametrize("name", PUBLIC)
def test_the_package_gives_every_public_name(name: str) -> None:
    assert callable(getattr(duck_cookie_session, name))


def test_names_are_where_they_are_looked_for() -> None:
    for name in ("SessionStorageConnector", "get_session_storage_connector", "globals"):
        assert hasattr(connector_module, name)
    assert connector_module.SessionStorageConnector is SessionStorageConnector
    assert (
        connector_module.NonPersistentStorageError is duck_cookie_session.NonPersistentStorageError
    )
    assert engine.SessionStore is SessionStore
    assert engine.session_connector_mod is connector_module
    for name in (
        "SessionError",
        "SessionExpired",
        "SessionRevoked",
        "SessionTooLarge",
        "SessionSerializationError",
        "RevocationListUnavailable",
    ):
        assert getattr(engine, name) is getattr(duck_cookie_session, name)


def test_errors_are_one_tree() -> None:
    root = duck_cookie_session.SessionError
    assert root.__bases__ == (Exception,)
    assert duck_cookie_session.SessionExpired.__bases__ == (root,)
    for name in (
        "SessionRevoked",
        "SessionTooLarge",
        "SessionSerializationError",
        "RevocationListUnavailable",
        "InvalidSettings",
        "InvalidArgument",
    ):
        assert issubclass(getattr(duck_cookie_session, name), root)


def test_non_persistent_storage_error() -> None:
    error = duck_cookie_session.NonPersistentStorageError
    assert error.__bases__ == (Exception,)
    assert "SQLiteRevocationList" in str(error())


CONNECTOR = {
    "set_session": ("self, session_id, data, expiry=None", str),
    "get_session": ("self, session_id", dict[Any, Any] | None),
    "update_session": ("self, session_id, data", str),
    "delete_session": ("self, session_id", None),
    "delete_subject": ("self, subject", None),
    "clear_all_sessions": ("self", None),
    "generate_session_id": ("", str),
    "save": ("self", None),
    "close": ("self", None),
}


@pytest.mark.parametrize("name", CONNECTOR)
def test_connector_methods(name: str) -> None:
    method = getattr(SessionStorageConnector, name)
    assert (shape(method), returns(method)) == CONNECTOR[name]


@pytest.mark.parametrize("method", ["__new__", "__init__"])
def test_connector_is_made_from_a_storage_class(method: str) -> None:
    parameters = shape(getattr(SessionStorageConnector, method)).split(", ")
    assert parameters[1] == "session_storage_cls"
    assert "settings (keyword)=None" in parameters[2:]
    assert all("(keyword)=" in extra for extra in parameters[2:])


STORE = {
    "clear": ("self", None),
    "create": ("self", None),
    "delete": ("self, session_key=None", None),
    "exists": ("self, session_key=None", bool),
    "generate_session_id": ("", str),
    "load": ("self", dict[Any, Any]),
    "needs_update": ("self", bool),
    "popitem": ("self", tuple[Any, Any]),
    "save": ("self, *_", None),
    "session_expired": ("self", bool),
    "assign_new_session_key": ("self", str),
    "async_save": ("self", None),
    "cycle_key": ("self", None),
    "flush": ("self", None),
    "supersede": ("self", None),
    "delete_other_sessions": ("self", None),
    "__getitem__": ("self, key", Any),
    "__setitem__": ("self, key, value", None),
    "__delitem__": ("self, key", None),
    "__repr__": ("self", str),
}


@pytest.mark.parametrize("name", STORE)
def test_store_methods(name: str) -> None:
    method = getattr(SessionStore, name)
    assert (shape(method), returns(method)) == STORE[name]


def test_store_methods_with_room_for_more() -> None:
    assert shape(SessionStore.pop).startswith("self, key, default=")
    assert shape(SessionStore.update).startswith("self, data")
    assert shape(SessionStore.set_expiry).startswith("self, expiry=None")
    assert returns(SessionStore.get_expiry_age) in (int, float)
    assert returns(SessionStore.get_expiry_date).__name__ == "datetime"
    assert shape(SessionStore.check_session_storage_connector) == "method"
    assert shape(SessionStore) == "session_key, disable_warnings=False, connector (keyword)=None"


@pytest.mark.parametrize(
    ("cls", "name"),
    [
        (SessionStorageConnector, "generate_session_id"),
        (SessionStore, "generate_session_id"),
        (SessionStore, "check_session_storage_connector"),
    ],
)
def test_static_methods(cls: type, name: str) -> None:
    assert isinstance(inspect.getattr_static(cls, name), staticmethod)


@pytest.mark.parametrize("name", ["modified", "session_key"])
def test_settable_properties(name: str) -> None:
    assert getattr(SessionStore, name).fset is not None


@pytest.mark.parametrize("name", ["loaded", "session_id", "created_at"])
def test_read_only_properties(name: str) -> None:
    assert isinstance(getattr(SessionStore, name), property)


@pytest.mark.parametrize("name", ["clear", "delete", "flush", "supersede", "exists", "load"])
def test_what_asks_the_list_has_an_awaitable_twin(name: str) -> None:
    twin = getattr(SessionStore, "a" + name)
    assert inspect.iscoroutinefunction(twin)
    assert shape(twin) == shape(getattr(SessionStore, name))


def test_store_is_a_dict_with_slots() -> None:
    store = SessionStore(None)
    assert isinstance(store, dict)
    assert not hasattr(store, "__dict__")
    with pytest.raises(AttributeError):
        store.anything = 1  # type: ignore[attr-defined]  # that is the test
    with pytest.raises(TypeError):
        hash(store)


def test_session_headers() -> None:
    assert shape(duck_cookie_session.session_headers).startswith("session, failed (keyword)=False")
    assert returns(duck_cookie_session.session_headers) == list[tuple[str, str]]


def test_functions_of_the_process() -> None:
    assert shape(duck_cookie_session.get_session_storage_connector) == ""
    assert shape(duck_cookie_session.configure) == "settings, session_storage_cls"


def test_lists() -> None:
    assert shape(MemoryRevocationList).partition("=")[0] in ("", "clock")
    assert shape(SQLiteRevocationList).split(", ")[0] == "directory"
    assert all("=" in extra for extra in shape(SQLiteRevocationList).split(", ")[1:])


FIELDS = {
    "cookie_name": "session_id",
    "cookie_age": 604_800,
    "cookie_path": "/",
    "cookie_domain": None,
    "cookie_secure": True,
    "cookie_httponly": True,
    "cookie_samesite": "Lax",
    "expire_at_browser_close": False,
    "session_dir": None,
    "cookie_partitioned": False,
    "absolute_age": 30 * 86_400,
    "audience": "",
    "subject_key": None,
    "compress": False,
    "max_cookie_bytes": 4096,
    "clock_skew": 60,
    "on_unreachable": "refuse",
    "on_lost": "refuse",
}


@pytest.mark.parametrize("name", FIELDS)
def test_settings_and_their_defaults(name: str) -> None:
    assert getattr(SessionSettings(secret_keys="s" * 32), name) == FIELDS[name]


def test_settings_are_given_by_name_and_need_a_secret() -> None:
    parameters = inspect.signature(SessionSettings).parameters
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters.values())
    assert [n for n, p in parameters.items() if p.default is p.empty] == ["secret_keys"]


def test_core_imports_no_framework() -> None:
    """In a process of its own: this one may have imported them for other tests."""
    code = (
        "import sys, duck_cookie_session, duck_cookie_session.engine\n"
        "frameworks = {'duck', 'redis', 'flask', 'django', 'starlette', 'prometheus_client'}\n"
        "print(sorted(frameworks & {name.partition('.')[0] for name in sys.modules}))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_package_is_typed() -> None:
    from importlib.resources import files

    assert files("duck_cookie_session").joinpath("py.typed").is_file()


ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "duck_cookie_session"

EXPORTED = {
    "EventKind",
    "InvalidArgument",
    "InvalidSettings",
    "MemoryRevocationList",
    "NonPersistentStorageError",
    "RevocationList",
    "RevocationListUnavailable",
    "SQLiteRevocationList",
    "SessionError",
    "SessionEvent",
    "SessionExpired",
    "SessionRevoked",
    "SessionSerializationError",
    "SessionSettings",
    "SessionStorageConnector",
    "SessionStore",
    "SessionTooLarge",
    "asession_headers",
    "configure",
    "find_cookie",
    "get_session_storage_connector",
    "session_headers",
}


def exported(module: ModuleType) -> set[str]:
    """What a module offers: its names without underscore that are not modules below it."""
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }


def test_the_package_exports_these_names_and_no_others() -> None:
    assert exported(duck_cookie_session) == EXPORTED


PACKAGES: dict[str, set[str]] = {
    "cli": {"main"},
    "contrib.django": {"SessionMiddleware", "SessionStore", "get_connector"},
    "demo": {"run"},
    "testing": {"Clock", "MemoryListForTests", "read_session", "session_cookie", "session_token"},
    "testing.contract": {"Application", "RETENTION", "RevocationListContract"},
}
"""What each package offers; the others nothing."""


def test_each_other_package_exports_these_names_and_no_others() -> None:
    found = {}
    for path in SOURCES.rglob("__init__.py"):
        name = ".".join(path.parent.relative_to(SOURCES).parts)
        if name:
            module = importlib.import_module(f"duck_cookie_session.{name}")
            found[name] = exported(module) - {"annotations"}
    assert {name: names for name, names in found.items() if names} == PACKAGES


def test_the_modules_that_duck_is_given_have_every_name() -> None:
    assert exported(engine) == {
        "InvalidArgument",
        "InvalidSettings",
        "NonPersistentStorageError",
        "RevocationListUnavailable",
        "SessionError",
        "SessionExpired",
        "SessionRevoked",
        "SessionSerializationError",
        "SessionStore",
        "SessionTooLarge",
    }
    assert exported(connector_module) == {
        "DUCK_SUBJECT_KEY",
        "NonPersistentStorageError",
        "SessionStorageConnector",
        "StorageClass",
        "configure",
        "duck_settings",
        "get_session_storage_connector",
        "globals",
        "import_storage",
    }


def test_the_process_has_one_connector_whoever_asks(clean_process: None) -> None:
    """Duck's own engine reads and sets `globals.session_storage_connector`."""
    settings = SessionSettings(secret_keys="s" * 32)
    made = SessionStorageConnector(MemoryRevocationList, settings=settings)
    engine.session_connector_mod.globals.session_storage_connector = made
    assert duck_cookie_session.get_session_storage_connector() is made
    assert SessionStore(None).session_storage_connector is made


def documented(of: str) -> set[str]:
    """The members of a class that docs/api.md names."""
    text = (ROOT / "docs" / "api.md").read_text("utf-8")
    (block,) = re.findall(rf"\.\. autoclass:: {of}\n(.*?)```", text, re.DOTALL)
    return set(re.findall(r"\.\. auto(?:method|property|attribute):: (\w+)", block))


def public(cls: type, base: type) -> set[str]:
    return {name for name in set(dir(cls)) - set(dir(base)) if not name.startswith("_")}


OF_DUCKS_INTERFACE = {
    "assign_new_session_key",
    "check_session_storage_connector",
    "disable_warnings",
    "generate_session_id",
    "needs_update",
}
"""What Duck and its middleware ask of a store, and no application."""


def test_a_store_shows_what_the_reference_names_and_nothing_else() -> None:
    named = documented("SessionStore") - set(dir(dict))
    assert public(SessionStore, dict) - OF_DUCKS_INTERFACE == named


def is_marked(package: Path) -> bool:
    """Whether a package or one around it says that it is not API."""
    while package != SOURCES:
        text = (package / "__init__.py").read_text("utf-8")
        if "Not API" in text.partition('"""\n')[0]:
            return True
        package = package.parent
    return False


def test_modules_that_are_not_api_are_marked_so() -> None:
    """By an underscore, or by the words "Not API" of the package that they are in."""
    public_modules = set()
    for path in SOURCES.rglob("*.py"):
        parts = path.relative_to(SOURCES).with_suffix("").parts
        if any(part.startswith("_") and part != "__init__" for part in parts):
            continue
        if is_marked(path.parent):
            continue
        public_modules.add(".".join(part for part in parts if part != "__init__"))
    assert public_modules == {
        "",
        "engine",
        "errors",
        "response",
        "session_storage_connector",
        "settings",
        *("revocation", "revocation.base", "revocation.memory"),
        *("revocation.book", "revocation.redis", "revocation.sql", "revocation.sqlite"),
        *("testing", "testing.contract", "testing.fixtures"),
        *("contrib", "contrib.asgi", "contrib.django", "contrib.django.apps", "contrib.duck"),
        *("contrib.flask", "contrib.oidc", "contrib.prometheus"),
    }


FLOORS = (
    {"errors", "_counting", "_forks", "_jws", "_log"},
    {"_checks", "_uncancelled"},
    {"settings"},
    {"_cookie", "token", "revocation"},
    {"device"},
    {"session"},
    {"response", "session_storage_connector", "_device_endpoints"},
    {"engine", ""},
    {"contrib", "testing"},
    {"demo"},
    {"cli"},
    {"contrib.django.management"},
)


def test_a_file_imports_only_from_floors_below_its_own() -> None:
    floor = {name: level for level, names in enumerate(FLOORS) for name in names}
    climbing = []
    for path in SOURCES.rglob("*.py"):
        parts = path.relative_to(SOURCES).with_suffix("").parts
        own = "" if parts == ("__init__",) else parts[0]
        if own == "__main__":
            continue
        if ".".join(parts[:3]) in floor:
            own = ".".join(parts[:3])
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not node.level:
                continue
            above = len(parts) - node.level  # parts of the package that the import starts from
            target = [*parts[:above], *(node.module or "").split(".")] if above >= 0 else []
            room = next((part for part in target if part), "")
            if not node.module and above == 0:
                rooms = {alias.name for alias in node.names if alias.name in floor} or {""}
            else:
                rooms = {room}
            climbing += [
                f"{path.name} -> {r or 'package'}" for r in rooms - {own} if floor[r] >= floor[own]
            ]
    assert climbing == []


def test_no_module_is_long() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in SOURCES.rglob("*.py")
        if (lines := len(path.read_text("utf-8").splitlines())) > 360
    }
    assert long == {}


# How many functions of the library a request runs through.

CALLS = {"read": 20, "write": 45, "nested change": 50, "logout": 45}


@pytest.mark.parametrize("what", CALLS)
def test_calls_a_request_takes(what: str) -> None:
    """The way through the library stays short: nobody follows a long one."""
    assert way_of(ACTS[what]).calls <= CALLS[what]


@pytest.mark.parametrize("what", ACTS)
def test_the_architecture_page_tells_the_way_of_a_request(what: str) -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    calls, modules = way_of(ACTS[what])
    assert f"| {what} | {calls} | {modules} |" in page
